"""A case's one-time code, by screen, SMS or printed slip. The case keeps only when it was issued.

Nothing leads from a case to a code: codes are stored as MACs, without a case, for a day.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.cases import changing
from bluezone.server.cases.rules import CaseStatus
from bluezone.server.cases.tables import Case
from bluezone.server.context import Services
from bluezone.server.diagnosis import rules as diagnosis_rules
from bluezone.server.diagnosis import service as diagnosis
from bluezone.server.diagnosis.pepper import code_pepper
from bluezone.server.diagnosis.pictures import qr
from bluezone.server.errors import Refused
from bluezone.server.messaging import rules as messages
from bluezone.server.messaging import service as messaging
from bluezone.server.messaging.rules import Message
from bluezone.server.people.rules import Staff
from bluezone.server.register.rules import Details
from bluezone.web.catalogue import _


class Way(StrEnum):
    """How a code reaches the patient."""

    SCREEN = "screen"  # read out, or a picture for the patient's camera
    SMS = "sms"
    SLIP = "slip"  # printed


@dataclass(frozen=True, slots=True)
class Issued:
    """A code, readable this once; with `message`, it goes out after the transaction."""

    code: str = field(repr=False)
    link: str = field(repr=False)
    picture: Markup = field(repr=False)
    expires_at: int
    message: Message | None = None
    number: int = 0  # of the message in the outbox


_REPORT_TYPES = {
    CaseStatus.CONFIRMED: "confirmed-test",
    CaseStatus.PROBABLE: "clinical-diagnosis",
}


def way_named(text: str) -> Way:
    """Raises Refused (400)."""
    try:
        return Way(text)
    except ValueError:
        raise Refused(400, "way-unknown", _("Please choose how the code is to be given.")) from None


async def issue(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    case: Case,
    details: Details,
    way: Way,
) -> Issued:
    """Make a code for a case. Raises Refused: 409 not a case for one, 422 no telephone, 429."""
    report_type = _REPORT_TYPES.get(CaseStatus(case.status))
    if report_type is None:
        raise Refused(
            409,
            "case-without-code",
            _("A code warns others of a confirmed or probable case; this one is neither."),
        )
    if way is Way.SMS and not details.phone:
        raise Refused(
            422,
            "case-without-phone",
            _("No telephone is known of this person. Show the code, or print it."),
        )
    settings = services.settings
    made = await diagnosis.issue_code(
        session,
        code_pepper(settings.secrets_folder),
        services.now,
        worker=staff.account_id,
        unit=staff.unit,
        report_type=diagnosis_rules.report_type_named(report_type),
        symptom_onset=diagnosis_rules.check_onset(case.onset, services.now),
        per_worker=settings.codes_per_worker_per_hour,
        per_unit=settings.codes_per_unit_per_hour,
    )
    await changing.note_code(session, services, staff, case)
    shown, link = diagnosis_rules.shown_code(made.code), diagnosis_rules.code_link(made.code)
    issued = Issued(shown, link, qr(link), made.expires_at)
    if way is not Way.SMS:
        return issued
    until = vietnam_time(made.expires_at).strftime("%H:%M")
    message = messages.report_code_message(details.phone, shown, until, details.language)
    sealer = messaging.outbox_sealer(settings.secrets_folder)
    number = await messaging.put(session, sealer, message, services.now)
    return Issued(shown, link, issued.picture, made.expires_at, message, number)
