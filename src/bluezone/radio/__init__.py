"""Puts beacons on the air and hears them: a virtual air, or any Bluetooth controller."""
