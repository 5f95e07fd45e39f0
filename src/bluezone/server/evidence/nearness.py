"""The estimator as judge of an encounter, with both directions where both were heard."""

import numpy as np

from bluezone.protocol.confirmation import Heard, Nearness
from bluezone.proximity import Levels, estimate

_MOMENT_SECONDS = 60.0
_MAX_SECONDS = 300.0


def judge(own: Heard, peer: Heard) -> Nearness:
    """How near two phones were, going by what each heard of the other."""
    found = estimate(_levels(own, peer))
    return Nearness(
        close_minutes=round(found.close_minutes, 1),
        probability=round(found.exposure_probability, 3),
        certainty=found.exposure.name.lower(),
    )


def _levels(own: Heard, peer: Heard) -> Levels:
    """Scans of both phones in one minute are readings of one moment."""
    by_own = np.concatenate((np.ones(len(own.time), bool), np.zeros(len(peer.time), bool)))
    time = np.concatenate((own.time, peer.time))
    order = np.argsort(time, kind="stable")
    time, by_own = time[order], by_own[order]
    minutes, moment = np.unique(np.floor(time / _MOMENT_SECONDS), return_inverse=True)
    stands_for = np.zeros(len(minutes))
    seconds = np.concatenate((own.seconds, peer.seconds))[order]
    np.maximum.at(stands_for, moment, seconds)
    moment_time = (minutes + 0.5) * _MOMENT_SECONDS
    # Two phones that scan in turn stand for the same time: it counts once.
    gap = np.diff(moment_time, prepend=moment_time[:1] - _MAX_SECONDS)
    return Levels(
        time=time,
        attenuation=np.concatenate((own.attenuation, peer.attenuation))[order],
        packets=np.concatenate((own.packets, peer.packets))[order],
        own=by_own,
        moment=moment.astype(np.int64),
        moment_time=moment_time,
        seconds=np.minimum(np.minimum(stands_for, gap), _MAX_SECONDS),
    )
