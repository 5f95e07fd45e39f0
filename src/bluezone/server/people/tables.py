"""What is kept of staff: accounts, open sessions, failed sign-ins."""

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.people.scope import UnitPath
from bluezone.storage.database import Base


class StaffAccount(Base):
    """One person; `name` is kept in lower case."""

    __tablename__ = "staff_accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]  # argon2id, with its parameters
    created_at: Mapped[int]


class StaffGrant(Base):
    """A role in the subtree of a unit. The first of an account is where the person works."""

    __tablename__ = "staff_grants"
    __table_args__ = (UniqueConstraint("account_id", "role", "unit"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("staff_accounts.id", ondelete="CASCADE"), index=True
    )
    role: Mapped[str]
    unit: Mapped[str] = mapped_column(UnitPath, index=True)


class StaffSession(Base):
    """A signed-in browser or program. The token itself is only with its holder."""

    __tablename__ = "staff_sessions"

    token_hash: Mapped[str] = mapped_column(primary_key=True)  # SHA-256, hex
    account_id: Mapped[int] = mapped_column(
        ForeignKey("staff_accounts.id", ondelete="CASCADE"), index=True
    )
    expires_at: Mapped[int] = mapped_column(index=True)


class SignInFailures(Base):
    """Failed sign-ins in a row under a name, whether an account has it or not."""

    __tablename__ = "sign_in_failures"

    name_hash: Mapped[str] = mapped_column(primary_key=True)  # SHA-256, hex: people mistype
    failures: Mapped[int]
    locked_until: Mapped[int] = mapped_column(index=True)
