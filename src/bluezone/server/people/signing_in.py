"""What signing in is made of: the password, then the second factor. Used by pages and programs."""

from fastapi import Request

from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.limits import Rule, client_subject
from bluezone.server.people import rules, second_factor, service
from bluezone.server.people.passwords import verify_password
from bluezone.server.people.rules import Staff, Stage
from bluezone.server.people.tables import StaffAccount
from bluezone.web.catalogue import _

# A health unit may share one address; guessing one name is stopped by its lock, many by this.
SIGN_INS = Rule("sign-in", burst=30, seconds=60)


async def by_password(
    request: Request, services: Services, name: str, password: str
) -> tuple[StaffAccount, Stage]:
    """Whose name and password these are, and what is still missing.

    Raises Refused: 401 wrong, 403 without any role, 429 locked or too many.
    """
    services.limits.spend(SIGN_INS, client_subject(request.client and request.client.host))
    if len(name) > 64 or len(password) > rules.MAX_PASSWORD_CHARACTERS:
        raise _wrong()
    async with services.database.transaction() as session:
        refuse_locked(await service.begin_sign_in(session, name, services.now))
    async with services.database.read() as session:
        account = await service.find_account(session, name)
    password_hash = account.password_hash if account else None
    if not await verify_password(password_hash, password) or account is None:
        raise _wrong()
    async with services.database.read() as session:
        if not await service.grants_of(session, account.id):
            raise Refused(
                403,
                "no-role",
                _("Your account has no role at present. Please ask your administrator."),
            )
        if await second_factor.enrolled_at(session, account.id) is not None:
            return account, Stage.CODE
    required = services.settings.second_factor_required
    return account, Stage.ENROL if required else Stage.OPEN


async def check_code(services: Services, account_id: int, typed: str) -> None:
    """Spend a code of the app or a recovery code. Raises Refused: 401 wrong, 429 locked."""
    tries = service.tries_of_account(second_factor.TRIES, account_id)
    async with services.database.transaction() as session:
        refuse_locked(await service.begin_try(session, tries, services.now))
    async with services.database.transaction() as session:
        if not await second_factor.spend(session, services, account_id, typed[:64]):
            raise Refused(
                401,
                "wrong-code",
                _("This code is wrong, or was used already. Please wait for the next one."),
            )
        await service.forgive(session, tries)


async def check_password(services: Services, account_id: int, password: str) -> None:
    """That somebody signed in knows the password. Raises Refused: 401 wrong, 429 locked."""
    tries = service.tries_of_account("password", account_id)
    async with services.database.transaction() as session:
        refuse_locked(await service.begin_try(session, tries, services.now))
    async with services.database.read() as session:
        account = await session.get(StaffAccount, account_id)
    if (
        account is None
        or len(password) > rules.MAX_PASSWORD_CHARACTERS
        or not await verify_password(account.password_hash, password)
    ):
        raise Refused(401, "wrong-password", _("The present password is wrong."))
    async with services.database.transaction() as session:
        await service.forgive(session, tries)


async def open_session(
    services: Services, account: StaffAccount, stage: Stage, *, replaces: str = ""
) -> tuple[str, int]:
    """A session at a stage, in the place of the one behind the token `replaces`.

    Returns its token and when it expires. One that is open is written to the audit.
    """
    async with services.database.transaction() as session:
        if replaces:
            await service.close_session(session, replaces)
        opened = await service.open_session(
            session, account, services.now, services.settings.session_seconds, stage
        )
        if stage is Stage.OPEN:
            await audit.record(
                session,
                services,
                Staff(account.id, account.name, await service.grants_of(session, account.id)),
                Action.SIGN_IN,
                subject=f"account:{account.id}",
                purpose=Purpose.ADMINISTRATION,
            )
    return opened


def refuse_locked(seconds: int) -> None:
    """Raises Refused (429) unless `seconds`, for which something is locked, is 0."""
    if seconds:
        raise Refused(
            429,
            "locked",
            _("Too many failed sign-ins. Please try again in {seconds} seconds."),
            headers={"Retry-After": str(seconds)},
            seconds=seconds,
        )


def _wrong() -> Refused:
    return Refused(401, "wrong-name-or-password", _("The name or the password is wrong."))
