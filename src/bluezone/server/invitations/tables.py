"""What is kept of invitations: how many installed through each. Not who invited, or who came."""

from sqlalchemy.orm import Mapped, mapped_column

from bluezone.storage.database import Base


class Invitation(Base):
    """One invitation that somebody came through; the time is that of the day, no finer."""

    __tablename__ = "invitations"

    code: Mapped[str] = mapped_column(primary_key=True)
    installed: Mapped[int]
    changed_day: Mapped[int] = mapped_column(index=True)  # Vietnamese days since 1970
