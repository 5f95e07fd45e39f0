"""How far the rotation of each key has come."""

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.storage.database import Base


class KeyRotation(Base):
    """A key that was replaced, while rows are still under the one before."""

    __tablename__ = "key_rotations"

    name: Mapped[str] = mapped_column(primary_key=True)  # of the file: "register-key"
    began_at: Mapped[int]
    position: Mapped[bytes] = mapped_column(LargeBinary)  # of the pass under way; empty: begins
    done: Mapped[int]  # rows sealed anew, in all passes
    found: Mapped[int]  # rows of this pass that were still under the key before
    unreadable: Mapped[int]  # rows of this pass that neither key opens
