"""From signal strength to a calibrated probability of being within two metres (docs/proximity.md).

`estimate` is the way in: what two phones heard of each other goes in, an `Estimate` comes out.
Pure: no socket, disk or clock. Fitting and judging it on recordings is the room `study`.
"""

from bluezone.proximity.estimator import Estimate, ExposureClass, estimate
from bluezone.proximity.handset import UNKNOWN, Carriage, Handset, calibrated_power
from bluezone.proximity.levels import Levels
from bluezone.proximity.parameters import SHIPPED, Parameters

__all__ = [
    "SHIPPED",
    "UNKNOWN",
    "Carriage",
    "Estimate",
    "ExposureClass",
    "Handset",
    "Levels",
    "Parameters",
    "calibrated_power",
    "estimate",
]
