"""Deployment constants: what every phone and the service of one country must agree on."""

from typing import Final

# --- on the air -----------------------------------------------------------------------
# 0x4E56 ("NV") was Bluezone's service UUID in 2020. It is not assigned by the Bluetooth
# SIG; a real deployment must apply for one. 0xFD6F belongs to Google/Apple and phones
# filter it. Changing this constant is the whole change.
SERVICE_UUID_16: Final = 0x4E56
# Peers that cannot advertise service data (iOS, macOS) offer the same 20 bytes by GATT.
GATT_SERVICE_UUID: Final = "00004e56-73f5-4bc4-a12f-17d1ad07a667"
GATT_BEACON_UUID: Final = "00004e56-73f5-4bc4-a12f-17d1ad07a689"  # the readable characteristic
ADVERTISING_INTERVAL_SECONDS: Final = 0.25

# --- time (Exposure Notification Cryptography Specification v1.2) ----------------------
INTERVAL_SECONDS: Final = 600  # one rolling proximity identifier
ROLLING_PERIOD: Final = 144  # intervals in a full day's key
VIETNAM_UTC_OFFSET_SECONDS: Final = 7 * 3600
RETENTION_DAYS: Final = 14  # keys, diary, exports: the infectious window that is traced

# --- publication ----------------------------------------------------------------------
# A key may be published only when its identifiers can no longer be replayed: a phone
# accepts an identifier up to this long outside its interval.
REPLAY_TOLERANCE_SECONDS: Final = 2 * 3600
EMBARGO_SECONDS: Final = REPLAY_TOLERANCE_SECONDS
EXPORT_HEADER: Final = b"EK Export v1    "
EXPORT_REGION: Final = "VN"
MAX_KEYS_PER_EXPORT: Final = 750_000
MAX_EXPORT_BYTES: Final = 16 * 1024 * 1024

# --- upload ---------------------------------------------------------------------------
UPLOAD_KEY_SLOTS: Final = 30
UPLOAD_BODY_BYTES: Final = 4096  # every upload has this size, so chaff cannot be told apart
CODE_DIGITS: Final = 12
CODE_TTL_SECONDS: Final = 3600

# --- confirmation from both sides --------------------------------------------------------
# Every opening has this many nodes, however few or many people were met that day.
COMMITMENT_DEPTH: Final = 16
# A commitment goes out this soon after its key day has ended: the day's keys are public two
# hours after that at the earliest, and a record counts only if it was committed before.
COMMITMENT_SPREAD_SECONDS: Final = 100 * 60

# --- the app ----------------------------------------------------------------------------
# Where a phone serves its pages to its owner: the same port always, a browser keeps its cookie
# by it, and a code's link leads there.
APP_PORT: Final = 8460

# --- bytes-to-sign: one domain tag per format, so no signature fits two of them ---------
TAG_CERTIFICATE: Final = b"BZ1-CERTIFICATE"
TAG_INDEX: Final = b"BZ1-INDEX"
TAG_CONFIGURATION: Final = b"BZ1-CONFIGURATION"
TAG_UPLOAD: Final = b"BZ1-UPLOAD"
TAG_NEWS: Final = b"BZ1-NEWS"
TAG_STATIONS: Final = b"BZ1-STATIONS"
TAG_COMMITMENT: Final = b"BZ1-COMMITMENT"
TAG_COMMITMENT_LEAF: Final = b"BZ1-COMMITMENT-LEAF"
TAG_COMMITMENT_NODE: Final = b"BZ1-COMMITMENT-NODE"
