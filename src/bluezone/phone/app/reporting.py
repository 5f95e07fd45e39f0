"""A report from the pages: it takes up to half a minute, so they ask how far it is."""

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

from bluezone.phone.app.core import App, Refused, need_active
from bluezone.phone.app.exposures import ABOUT, handover
from bluezone.phone.app.interface import (
    Fault,
    PreviewLine,
    ReportPreview,
    ReportProgress,
    ReportWish,
)
from bluezone.phone.authority.handovers import Handover
from bluezone.phone.report import (
    CONSENT,
    ONSET_NONE,
    ONSET_RECORDED,
    Receipt,
    ReportError,
    Sharing,
    Step,
    check_onset,
    typed_code,
)
from bluezone.phone.service import ServiceError
from bluezone.phone.store import StoreError
from bluezone.protocol.deployment import RETENTION_DAYS, UPLOAD_KEY_SLOTS
from bluezone.protocol.handover import About
from bluezone.web.catalogue import LANGUAGES, _, in_all_languages

DIARY_CONSENT: Final = _(
    "Besides what is published, and to nobody else, you hand your diary to the tracers of the unit"
    " that gave you the code.\n"
    "What is sent: the random identifiers that this phone heard in {days} days, with time and"
    " strength of the signal, and a copy of its own keys. No name, no number, no place.\n"
    "Why: so that they can find contacts whose phones did not warn. They keep it for 30 days; until"
    " then you can take it back."
)
RECIPIENT: Final = _(
    "The national service, which publishes the keys; the diary only to the tracers."
)


@dataclass(slots=True)
class Reporting:
    """The report that was begun from the pages, if one was."""

    task: asyncio.Task[None] | None = None
    step: Step | None = None
    began_at: float = 0.0
    handed: Handover | None = None
    fault: Fault | None = None

    @property
    def sending(self) -> bool:
        """Whether it is under way."""
        return self.task is not None and not self.task.done()

    def state(self, receipt: Receipt | None) -> Literal["none", "sending", "done", "failed"]:
        """Where it stands, by the receipt that the phone keeps: a report that failed here may
        have gone out later by itself."""
        if self.sending:
            return "sending"
        if self.task is not None and receipt is not None and receipt.sent_at >= self.began_at:
            return "done"
        return "none" if self.fault is None else "failed"


def is_sending(app: App) -> bool:
    """Whether a report is under way."""
    return app.reporting.sending


async def preview_report(app: App, wish: ReportWish) -> ReportPreview:
    """`POST report/preview`. What would be wrong with the report is said here already."""
    _check(app, wish)
    keys, records = app.phone.reportable_keys(), app.phone.diary_records()
    onset = {
        ONSET_RECORDED: in_all_languages(_("as the health worker recorded it")),
        ONSET_NONE: in_all_languages(_("nothing")),
    }.get(wish.onset, dict.fromkeys(LANGUAGES, wish.onset))
    lines = [
        PreviewLine(in_all_languages(_("About")), in_all_languages(ABOUT[About(wish.about)])),
        PreviewLine(
            in_all_languages(_("Random keys of this phone")),
            in_all_languages(_("{keys}, of the last {days} days"), keys=keys, days=RETENTION_DAYS),
        ),
        PreviewLine(in_all_languages(_("First day of symptoms")), onset),
        PreviewLine(
            in_all_languages(_("Diary for the tracers")),
            in_all_languages(_("{records} entries"), records=records)
            if wish.diary
            else in_all_languages(_("nothing")),
        ),
    ]
    values = {"days": RETENTION_DAYS, "keys": UPLOAD_KEY_SLOTS}
    consent = in_all_languages(CONSENT, **values)
    if wish.diary:
        more = in_all_languages(DIARY_CONSENT, days=RETENTION_DAYS)
        consent = {language: f"{consent[language]}\n{more[language]}" for language in LANGUAGES}
    return ReportPreview(
        lines=lines,
        consent=consent,
        keys=keys,
        diary_records=records,
        recipient=in_all_languages(RECIPIENT),
    )


async def send_report(app: App, wish: ReportWish) -> ReportProgress:
    """`POST report`."""
    if app.reporting.sending:
        return await progress(app)
    code = _check(app, wish)
    if not wish.consent:
        raise Refused.saying(
            400, "no-consent", _("Nothing was sent, because you did not agree."), "consent"
        )
    need_active(app.phone)
    reporting = app.reporting = Reporting(began_at=app.clock.now())
    reporting.task = asyncio.create_task(_send(app, reporting, code, wish))
    return await progress(app)


async def progress(app: App) -> ReportProgress:
    """`GET report`."""
    now, receipt = app.reporting, app.phone.receipt()
    return ReportProgress(
        state=now.state(receipt),
        step=now.step.value if now.sending and now.step else "",
        keys=receipt.keys if receipt else 0,
        sent_at=receipt.sent_at if receipt else None,
        handover=handover(now.handed) if now.handed else None,
        fault=now.fault,
    )


async def _send(app: App, reporting: Reporting, code: str, wish: ReportWish) -> None:
    def step(reached: Step) -> None:
        reporting.step = reached

    try:
        sharing = Sharing(wish.onset, wish.diary, About(wish.about))
        await app.phone.report(code, True, sharing=sharing, on_step=step)
        step(Step.DIARY)
        reporting.handed = await app.phone.hand_over_owed()
    except (StoreError, ServiceError, ReportError) as error:
        refused = Refused.of(error)
        reporting.fault = Fault(refused.error, refused.message, refused.field)


def _check(app: App, wish: ReportWish) -> str:
    code = typed_code(wish.code)
    check_onset(wish.onset, app.clock.now())
    return code
