"""Bluezone: Bluetooth contact tracing in which the phone decides."""

__version__ = "0.1.0"
