"""The home page, the first start and the settings."""

from typing import Final

from msgspec import UNSET

from bluezone.phone.app import exposures, reporting
from bluezone.phone.app.core import App, Refused, need_active, no_such_commune, not_a_number
from bluezone.phone.app.interface import (
    VERSION,
    Carriers,
    ChangeSettings,
    CheckSummary,
    Number,
    NumberCode,
    NumberSent,
    Place,
    Places,
    Problem,
    ReportSummary,
    Settings,
    Start,
    State,
    Today,
)
from bluezone.phone.notices import Notice
from bluezone.protocol.invitation import typed_invitation
from bluezone.web.catalogue import _, in_all_languages
from bluezone.web.places import commune, communes, province, provinces

CARRIERS: Final = (
    "Viettel",
    "VinaPhone",
    "MobiFone",
    "Vietnamobile",
    "Gmobile",
    "iTel",
    "Wintel",
    "Local",
)
OVERDUE_SECONDS: Final = 24 * 3600.0
# A computer that was off overnight first gets time for the look that it does at its start.
_GRACE_SECONDS: Final = 600.0
# A time further ahead than this was written before the clock was set back, and proves nothing.
_AHEAD_SECONDS: Final = 2 * 3600.0
# The others can wait until their owner looks; these keep the phone from doing its work.
_URGENT: Final = frozenset(
    {
        Notice.BLUETOOTH_OFF,
        Notice.NO_PERMISSION,
        Notice.RADIO_UNAVAILABLE,
        Notice.CLOCK_WRONG,
        Notice.DISK_FULL,
    }
)


async def state(app: App) -> State:
    """`GET state`."""
    phone, now = app.phone, app.clock.now()
    status, settings = phone.status(), phone.settings
    (today,) = phone.history.days(now, 1)
    files, keys = phone.compared()
    news, _checked_at = phone.announcements.news()
    read = phone.announcements.read()
    return State(
        version=VERSION,
        now=now,
        started=settings.consented_at is not None,
        stopped=settings.stopped_at is not None,
        running=status.running,
        radio=status.radio.value,
        last_scan_at=status.last_scan.time if status.last_scan else None,
        scans=status.scans,
        problems=[
            Problem(_name(notice), in_all_languages(notice.value), notice in _URGENT)
            for notice in status.notices
        ],
        check=CheckSummary(
            checked_at=status.succeeded_at or None,
            next_at=status.next_check_at or None,
            keys=keys,
            files=files,
            overdue=overdue(app),
            error=status.check_error,
        ),
        today=Today(people=len(today.contacts), minutes=round(today.seconds / 60)),
        exposure=exposures.summary(app),
        report=ReportSummary(reported_at=phone.reported_at(), sending=reporting.is_sending(app)),
        unread_news=sum(item.id not in read for item in news.items) if news else 0,
        unread_notices=sum(not told.read for _number, told in phone.messages.all()),
        language=settings.language,
        text_size=settings.text_size,
        theme=settings.theme,
    )


def overdue(app: App) -> bool:
    """Whether no look for exposures has succeeded for a day, however often the phone began."""
    phone, now = app.phone, app.clock.now()
    consented_at = phone.settings.consented_at
    times = (
        phone.status().succeeded_at,
        app.began_at if consented_at is None else consented_at,  # a phone that needs no consent
    )
    since = max((time for time in times if time <= now + _AHEAD_SECONDS), default=0.0)
    just_begun = 0 <= now - app.began_at <= _GRACE_SECONDS
    return phone.active and now - since > OVERDUE_SECONDS and not just_begun


async def check(app: App) -> State:
    """`POST check`: look for exposures now."""
    need_active(app.phone)
    await app.phone.check()
    return await state(app)


async def start(app: App, wish: Start) -> State:
    """`POST start`."""
    if not wish.consent:
        raise Refused.saying(
            400, "no-consent", _("Bluezone begins only once you have agreed."), "consent"
        )
    _check_commune(wish.commune)
    _check_carrier(wish.carrier)
    if wish.invitation.strip():
        try:
            code = typed_invitation(wish.invitation)
        except ValueError:
            raise Refused.saying(
                400,
                "invitation-malformed",
                _("An invitation code has eight letters and digits. Check it, or leave it out."),
                "invitation",
            ) from None
        app.phone.invitations.remember(code)
    app.phone.choose(language=wish.language, commune=wish.commune, carrier=wish.carrier)
    app.phone.begin()
    return await state(app)


async def settings(app: App) -> Settings:
    """`GET settings`."""
    kept, receipt = app.phone.settings, app.phone.telephone.receipt()
    place = commune(kept.commune) if kept.commune else None
    return Settings(
        language=kept.language,
        text_size=kept.text_size,
        theme=kept.theme,
        battery=kept.battery,
        province=place.province if place else None,
        commune=kept.commune,
        carrier=kept.carrier,
        phone_number=receipt.phone_number if receipt else None,
        desktop_notices=kept.desktop_notices,
        commitments=kept.commitments_since is not None,
    )


async def change_settings(app: App, wish: ChangeSettings) -> Settings:
    """`POST settings`."""
    chosen = {
        name: value
        for name in wish.__struct_fields__
        if (value := getattr(wish, name)) is not UNSET
    }
    _check_commune(chosen.get("commune"))
    _check_carrier(chosen.get("carrier"))
    nightly = chosen.pop("commitments", None)
    app.phone.choose(**chosen)
    if nightly is not None:
        app.phone.commit_nightly(nightly)
    return await settings(app)


async def number(app: App, wish: Number) -> NumberSent:
    """`POST number`. Also asked on the page of the first start, once its reader has agreed."""
    if app.phone.settings.stopped_at is not None:
        need_active(app.phone)
    try:
        understood, expires_at = await app.phone.telephone.ask(
            wish.phone_number, app.phone.settings.language
        )
    except ValueError:
        raise not_a_number() from None
    return NumberSent(phone_number=understood, expires_at=expires_at)


async def confirm_number(app: App, wish: NumberCode) -> Settings:
    """`POST number/confirm`."""
    try:
        await app.phone.telephone.confirm(wish.code)
    except LookupError:
        raise Refused.saying(
            409, "no-code-asked", _("Ask for a code first."), "phone_number"
        ) from None
    return await settings(app)


async def forget_number(app: App) -> Settings:
    """`DELETE number`."""
    app.phone.telephone.forget()
    return await settings(app)


async def all_provinces(app: App) -> Places:
    """`GET places`."""
    return Places([Place(one.code, one.short_name) for one in provinces()])


async def all_communes(app: App, code: str) -> Places:
    """`GET places/{province}`."""
    if province(code) is None:
        raise Refused.saying(404, "province-unknown", _("There is no such province."))
    return Places([Place(one.code, one.name) for one in communes(code)])


async def carriers(app: App) -> Carriers:
    """`GET carriers`."""
    return Carriers(list(CARRIERS))


def _check_commune(code: str | None) -> None:
    if code is not None and commune(code) is None:
        raise no_such_commune()


def _check_carrier(name: str | None) -> None:
    if name is not None and name not in CARRIERS:
        message = _("There is no such carrier. Choose one of the list.")
        raise Refused.saying(400, "carrier-unknown", message, "carrier")


def _name(notice: Notice) -> str:
    return notice.name.lower().replace("_", "-")
