"""Limits on wrong one-time codes: one budget, whatever the code was tried for."""

from typing import Final

from bluezone.server.limits import Budget, Rule

# With five thousand codes alive at once, ten thousand guesses an hour hit one in two years.
# Mobile networks put thousands of people behind one address, hence not fewer than ten.
WRONG_CODES_BY_ADDRESS: Final = Rule("wrong codes by address", 10, 3600)
WRONG_CODES: Final = Rule("wrong codes", 10_000, 3600)

# Required before a code is looked up, and once more before a right one is told: of a volley
# of guesses, the others have been counted by then. Spent by wrong codes alone.
GUESSES: Final = Budget(
    WRONG_CODES_BY_ADDRESS, WRONG_CODES, beyond=Rule("wrong codes by network", 1, 3600)
)
