"""Padding: whole synthetic users among the published keys, alike real ones in every field
(docs/protocol.md, "Padding").

A small file would say how few people reported, and a key that stands out would say which
are padding. So padding is never single keys: it is chains of days as a phone reports them,
modelled on the people who reported lately, stored and released by the same rules as theirs.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bluezone.protocol.deployment import INTERVAL_SECONDS, RETENTION_DAYS, ROLLING_PERIOD
from bluezone.protocol.intervals import interval_number
from bluezone.protocol.keys import KEY_BYTES, DiagnosisKey, ReportType, TemporaryExposureKey

# With fewer real users than this the built-in distribution makes up the number: padding that
# copied the only two reports of an hour would show what those two looked like.
MIN_TEMPLATES: Final = 20

# A report may have waited for the network: an end before the window is imitated this closely.
_JITTER_INTERVALS: Final = 6

# What an ordinary hour's reports look like, where there are none to learn from. Assumptions,
# not measurements: most people have used the app for the whole period, some have no symptoms,
# and most of the others are tested two to six days after the first.
_WHOLE_PERIOD_SHARE: Final = 0.6
_CLINICAL_SHARE: Final = 0.05
_NO_SYMPTOMS_SHARE: Final = 0.3
_DAYS_FROM_ONSET_WEIGHTS: Final = (2, 6, 12, 16, 15, 12, 9, 7, 5, 4, 3, 3, 2, 2, 2)


def synthetic_users(
    real: Sequence[Sequence[DiagnosisKey]],
    count_keys_wanted: int,
    now: float,
    rng: random.Random,
    window_seconds: int = 3600,
) -> list[list[DiagnosisKey]]:
    """Synthetic users with at least `count_keys_wanted` keys together (at most one user more).

    `real` are the users who reported in the last `window_seconds` before `now` (Unix
    seconds), each with the keys of one upload: their numbers of keys, report types and days
    since onset are taken over, each template as often as any other. The end of the key of
    the reporting day is drawn anew within the window, so that no two keys are twins. `rng`
    must be `random.SystemRandom` in production: the keys come from it.
    """
    if count_keys_wanted <= 0:
        return []
    templates = [sorted(user, key=lambda row: row.tek.rolling_start) for user in real if user]
    # A phone ends its key with the running interval.
    window = interval_number(now - window_seconds) + 1, math.ceil(now / INTERVAL_SECONDS)
    # None stands for a user of the built-in distribution, drawn anew each time.
    one_round = [*templates, *[None] * (MIN_TEMPLATES - len(templates))]
    users: list[list[DiagnosisKey]] = []
    count = 0
    while count < count_keys_wanted:
        if len(users) % len(one_round) == 0:  # every template once before any comes again
            rng.shuffle(one_round)
        template = one_round[len(users) % len(one_round)] or _ordinary_user(window[1], rng)
        users.append(_imitate(template, window, rng))
        count += len(users[-1])
    return users


def _imitate(
    template: Sequence[DiagnosisKey], window: tuple[int, int], rng: random.Random
) -> list[DiagnosisKey]:
    """The template with fresh keys and another end of the key of the reporting day."""
    last = template[-1].tek
    new_end = _another_end(last, window, rng)
    # The report may fall on the other side of 00:00 UTC: then the whole chain moves.
    shift = ((new_end - 1) // ROLLING_PERIOD - (last.rolling_end - 1) // ROLLING_PERIOD) * (
        ROLLING_PERIOD
    )
    user = []
    for row in template:
        start, period = row.tek.rolling_start + shift, row.tek.rolling_period
        if row is template[-1] and new_end > start:
            period = new_end - start
        tek = TemporaryExposureKey(rng.randbytes(KEY_BYTES), start, period)
        user.append(replace(row, tek=tek))
    return user


def _another_end(last: TemporaryExposureKey, window: tuple[int, int], rng: random.Random) -> int:
    """Where a report like the one that ended `last` could have ended it as well."""
    end = last.rolling_end
    if window[0] <= end <= window[1]:
        return rng.randint(*window)
    if end % ROLLING_PERIOD == 0:  # the key of a full day, not ended by a report
        return end
    return min(rng.randint(end - _JITTER_INTERVALS, end + _JITTER_INTERVALS), max(end, window[1]))


def _ordinary_user(end: int, rng: random.Random) -> list[DiagnosisKey]:
    """A template from the built-in distribution; its last key ends before interval `end`."""
    today = (end - 1) // ROLLING_PERIOD
    whole = rng.random() < _WHOLE_PERIOD_SHARE
    full_days = RETENTION_DAYS if whole else rng.randrange(RETENTION_DAYS)
    clinical = rng.random() < _CLINICAL_SHARE
    report_type = ReportType.CONFIRMED_CLINICAL_DIAGNOSIS if clinical else ReportType.CONFIRMED_TEST
    onset: int | None = None
    if clinical or rng.random() >= _NO_SYMPTOMS_SHARE:
        weights = _DAYS_FROM_ONSET_WEIGHTS
        onset = today - rng.choices(range(len(weights)), weights)[0]
    user = []
    for day in range(today - full_days, today + 1):
        start = day * ROLLING_PERIOD
        period = end - start if day == today else ROLLING_PERIOD
        tek = TemporaryExposureKey(bytes(KEY_BYTES), start, period)
        user.append(DiagnosisKey(tek, report_type, None if onset is None else day - onset))
    return user
