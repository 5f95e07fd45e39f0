"""Invitations: how many people installed through one, and nobody learns who (docs/protocol.md,
"Invitation").

The inviting phone draws a secret; its invitation code is a hash of it. A phone that was
installed through an invitation says so once (`POST /v1/invitations`), and the service counts.
Only the holder of the secret can ask for the count (`POST /v1/invitations/count`).
"""

import base64
import hashlib
from typing import Annotated, Final

import msgspec

from bluezone.protocol.unprintable import Unprintable

SECRET_BYTES: Final = 16
CODE_CHARACTERS: Final = 8


class Invited(Unprintable, frozen=True, forbid_unknown_fields=True):
    """Somebody installed the app through this invitation."""

    invitation: Annotated[str, msgspec.Meta(pattern=r"^[A-Z2-7]{8}\Z")]


class InvitationSecret(Unprintable, frozen=True, forbid_unknown_fields=True):
    """Asks for the count of one's own invitation."""

    secret: Annotated[bytes, msgspec.Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]


class InvitationCount(msgspec.Struct, frozen=True):
    """How many phones said that they were installed through it."""

    installed: int


def invitation_code(secret: bytes) -> str:
    """The code to give away: 40 bits of a hash of `secret` (16 bytes), in base32."""
    return base64.b32encode(hashlib.sha256(secret).digest()[:5]).decode()


def typed_invitation(text: str) -> str:
    """A code as somebody typed it. ValueError if it cannot be one."""
    code = text.replace(" ", "").replace("-", "").upper().translate(str.maketrans("018", "OIB"))
    if len(code) != CODE_CHARACTERS or set(code) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"):
        raise ValueError("not an invitation code")
    return code
