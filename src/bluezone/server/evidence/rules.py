"""What a claim may be, what its verdict may be taken for, and how long any of it is kept."""

from typing import Final

from bluezone.protocol.claim import Claim, read_claim
from bluezone.protocol.commitment import CommitmentError
from bluezone.protocol.confirmation import Flag, Label
from bluezone.protocol.deployment import RETENTION_DAYS
from bluezone.server.errors import Refused
from bluezone.web.catalogue import _

HOUR_SECONDS: Final = 3600
# A phone keeps what opens them for fourteen days; a claim may take a night to arrive.
COMMITMENT_KEPT_SECONDS: Final = (RETENTION_DAYS + 1) * 24 * HOUR_SECONDS
# Longer than any phone keeps a key that it could claim with.
USED_KEPT_DAYS: Final = RETENTION_DAYS + 4

# The words that stand wherever a verdict is shown, to staff and to whoever it is about.
WHAT_IT_MEANS: Final = _(
    "Two phones hold matching records made before the keys were public. It is not proof of who"
    " carried them, of distance or of infection, and never the sole ground for compulsion."
)
WHAT_MISSING_MEANS: Final = _("Missing confirmation proves nothing.")

LABELS: Final = {
    Label.BOTH_SIDES: _("Confirmed from both sides"),
    Label.ONE_SIDE: _("Recorded by one of the two phones"),
    Label.CLAIM_ONLY: _("Said by the person, not confirmed"),
}
FLAGS: Final = {
    Flag.ATTENUATION_DIFFERS: _(
        "The two phones heard each other very differently: perhaps somebody passed the signals on."
    ),
    Flag.CLOCK_OFFSET: _("The clocks of the two phones differ by more than two minutes."),
    Flag.CLOCKS_DISAGREE: _(
        "The times of the records do not fit: a clock was wrong, or signals were held back."
    ),
    Flag.DIRECTIONS_APART: _(
        "Each phone heard the other, but not within ten minutes of each other."
    ),
    Flag.FEW_SCANS: _("One direction was heard too briefly to count."),
    Flag.METADATA_DIFFERS: _("A signal differs from what its sender committed to."),
    Flag.POWER_UNKNOWN: _("The phone of the case did not say how strongly it sends."),
    Flag.NOT_COMMITTED: _("The phone of the person sent no nightly proof of that day."),
    Flag.COMMITTED_LATE: _("The nightly proof came when the keys could already be public."),
    Flag.RELEASE_UNKNOWN: _("It is not known when the keys of the case became public."),
    Flag.RECEIVED_LATE: _("The case handed over the diary after the person sent the proof."),
    Flag.DIARY_LATE: _(
        "The diary came when the keys in it were public: somebody else could have sent it."
    ),
    Flag.NO_DIARY: _("The case handed over no diary."),
    Flag.KEY_PUBLISHED: _("The keys of the person's phone are public: anybody could use them."),
    Flag.ALREADY_CLAIMED: _("The same day of this phone served another proof already."),
}


def check_claim(claim: Claim) -> None:
    """Raises Refused (422) for a claim that does not hold together."""
    try:
        read_claim(claim)
    except CommitmentError as error:
        raise Refused(
            422,
            "claim-malformed",
            _("The app sent a proof that is malformed ({detail})."),
            detail=str(error),
        ) from None


def received_hour(now: int) -> int:
    """The hour (Unix time) to write down."""
    return now // HOUR_SECONDS * HOUR_SECONDS


def certainly_received(hour: int) -> int:
    """By when a commitment of that hour was there: which minute it came, nobody knows."""
    return hour + HOUR_SECONDS
