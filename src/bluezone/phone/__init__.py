"""The app's core: who this phone is on the air, whom it was near, and what follows from it."""

from bluezone.phone.explanation import ExposureWarning
from bluezone.phone.exposure_check import Check
from bluezone.phone.notices import Notice
from bluezone.phone.phone import Phone, Status
from bluezone.phone.report import Receipt, ReportError
from bluezone.phone.service import Service, ServiceError
from bluezone.phone.tracer import Scan

__all__ = [
    "Check",
    "ExposureWarning",
    "Notice",
    "Phone",
    "Receipt",
    "ReportError",
    "Scan",
    "Service",
    "ServiceError",
    "Status",
]
