"""What is kept of staff: accounts, grants, second factors, sessions, invitations, failed tries."""

from sqlalchemy import ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.people.scope import UnitPath
from bluezone.storage.database import Base


class StaffAccount(Base):
    """One person; `name` is kept in lower case. It stays when they leave: the audit names it."""

    __tablename__ = "staff_accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    # Where they work: the unit of the first grant, and the last known one when none is left.
    unit: Mapped[str] = mapped_column(UnitPath, index=True, server_default="vn")
    password_hash: Mapped[str]  # argon2id, with its parameters; empty: none, nobody gets in
    created_at: Mapped[int]
    last_sign_in_at: Mapped[int | None]
    ended_at: Mapped[int | None]


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
    stage: Mapped[str] = mapped_column(server_default="open")  # people.rules.Stage
    opened_at: Mapped[int] = mapped_column(server_default="0")
    used_at: Mapped[int] = mapped_column(server_default="0")  # to the minute
    expires_at: Mapped[int] = mapped_column(index=True)


class SecondFactor(Base):
    """What an account's authenticator app shares with us."""

    __tablename__ = "staff_second_factors"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("staff_accounts.id", ondelete="CASCADE"), primary_key=True
    )
    sealed: Mapped[bytes] = mapped_column(LargeBinary)  # the secret
    last_step: Mapped[int]  # of 30 seconds: a code counts once, and none before it
    enrolled_at: Mapped[int]


class RecoveryCode(Base):
    """Opens once in place of an app that is lost. 80 random bits, so a plain hash will do."""

    __tablename__ = "staff_recovery_codes"

    code_hash: Mapped[str] = mapped_column(primary_key=True)  # SHA-256, hex
    account_id: Mapped[int] = mapped_column(
        ForeignKey("staff_accounts.id", ondelete="CASCADE"), index=True
    )


class StaffInvitation(Base):
    """A link that makes an account once, or (`account_id`) gives one a new password.

    The secret in it is only with whom the administrator handed it to.
    """

    __tablename__ = "staff_invitations"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)  # SHA-256, hex
    name: Mapped[str] = mapped_column(unique=True)  # one open link for each name
    role: Mapped[str]
    unit: Mapped[str] = mapped_column(UnitPath, index=True)
    account_id: Mapped[int | None] = mapped_column(
        ForeignKey("staff_accounts.id", ondelete="CASCADE"), index=True
    )
    invited_by_id: Mapped[int] = mapped_column(index=True)  # an administrator, who may leave
    invited_by: Mapped[str]
    created_at: Mapped[int]
    expires_at: Mapped[int] = mapped_column(index=True)


class SignInFailures(Base):
    """Failed tries in a row against a name (whether an account has it or not) or a code."""

    __tablename__ = "sign_in_failures"

    name_hash: Mapped[str] = mapped_column(primary_key=True)  # SHA-256, hex: people mistype
    failures: Mapped[int]
    locked_until: Mapped[int] = mapped_column(index=True)
