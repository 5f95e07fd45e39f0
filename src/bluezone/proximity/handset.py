"""What may be known of a phone: model, how it is carried, what its own diary tells of it."""

from dataclasses import dataclass
from enum import StrEnum

from bluezone.proximity.parameters import Parameters


class Carriage(StrEnum):
    """Where its owner has the phone."""

    HAND = "hand"
    POCKET = "pocket"
    BAG = "bag"


@dataclass(frozen=True, slots=True)
class Handset:
    """One phone. Everything may be missing.

    `diary_attenuation` is the median attenuation (dB) over all that its own diary holds, of
    whomever: no truth is needed for it, and a phone that hears everybody weakly is deaf or
    buried rather than lonely.
    """

    model: str | None = None
    carriage: Carriage | None = None
    diary_attenuation: float | None = None


UNKNOWN = Handset()


def calibrated_power(tx_power: int, model: str | None, p: Parameters) -> int:
    """What a phone's beacon should say it is sent with (dBm), so that its model cancels out.

    Models that are set to one power differ by several dB in what leaves them; a receiver
    does not know the sender's model, so the sender takes it off.
    """
    sends = p.models.get(model or "")
    return tx_power - round(sends.sends_db) if sends else tx_power


def expected_offset(receiver: Handset, sender: Handset, p: Parameters) -> tuple[float, float]:
    """By how many dB `receiver` hears `sender` weaker than the average pair, and how unsurely.

    The second number is the standard deviation (dB) that unknown models add.
    """
    hears = p.models.get(receiver.model or "")
    sends = p.models.get(sender.model or "")
    offset = (hears.receives_db if hears else 0.0) + (sends.sends_db if sends else 0.0)
    variance = (0.0 if hears else p.receives_sd_db**2) + (0.0 if sends else p.sends_sd_db**2)
    for phone in (receiver, sender):
        if phone.carriage is not None:
            offset += p.carriage_db.get(phone.carriage, 0.0)
    if receiver.diary_attenuation is not None:
        known = hears.receives_db if hears else 0.0
        excess = receiver.diary_attenuation - known - p.diary_attenuation_db
        bound = p.diary_bound_db
        offset += p.diary_weight * min(max(excess, -bound), bound)
    return offset, variance**0.5
