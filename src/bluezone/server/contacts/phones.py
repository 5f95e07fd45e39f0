"""What phones said, made into people and exposures by somebody who decides. Nothing commits."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.confirmation import Encounter, Label
from bluezone.protocol.handover import ContactDetails, ExposureDay, HandedDiary
from bluezone.protocol.intervals import vietnam_day
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.cases import service as cases
from bluezone.server.cases.tables import Case
from bluezone.server.contacts.rules import Confirmation, Nearness, PhoneEvidence
from bluezone.server.contacts.service import ContactError, add_phone_evidence, checked_day
from bluezone.server.contacts.tables import CaseDiary, Exposure
from bluezone.server.context import Services
from bluezone.server.evidence import service as evidence_of_phones
from bluezone.server.evidence.service import Verdict
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import EVERYWHERE, Scope
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details, check_details
from bluezone.server.register.service import Candidate, Register

_UNNAMED: Final = "Chưa rõ tên"  # in a record, whatever the reader's language
_NOT_CLOSE: Final = ("0", "not_close")
_VERDICTS: Final = {
    Label.BOTH_SIDES: Confirmation.BOTH_SIDES,
    Label.ONE_SIDE: Confirmation.ONE_SIDE,
    Label.CLAIM_ONLY: Confirmation.CLAIM_ONLY,
}


def details_of_report(report: ContactDetails, name: str, reference: str) -> Details:
    """Who the report is about, as a record; `name` is what the worker heard."""
    given = name.strip() or report.name.strip() or f"{_UNNAMED} {reference}"
    return Details(name=given, phone=report.phone_number, language=report.language or "vi")


def usable_days(report: ContactDetails, now: int) -> list[ExposureDay]:
    """The days of a warning that can be: a phone may send anything."""
    usable = []
    for one in report.days:
        with suppress(ContactError):
            checked_day(one.day, now)
            usable.append(one)
    return usable


def evidence_of_report(report: ContactDetails, day: str, now: int) -> list[PhoneEvidence]:
    """What the phone warned of, as its own word: one record a day.

    `day`: where the report names none, the one that the worker heard. Raises ContactError.
    """
    days = usable_days(report, now)
    if not days:
        heard = checked_day(day, now)
        return [PhoneEvidence(Confirmation.CLAIM_ONLY, heard, (), None, Nearness.UNKNOWN, "")]
    return [
        PhoneEvidence(
            Confirmation.CLAIM_ONLY,
            one.day,
            tuple(part.replace(",", " ") for part in one.parts),
            one.minutes,
            Nearness.UNKNOWN if one.certainty.lower() in _NOT_CLOSE else Nearness.TWO_METRES,
            one.certainty.lower(),
        )
        for one in days
    ]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a worker says about a report beside the decision; all of it may be left empty."""

    name: str = field(default="", repr=False)
    person_id: int | None = None  # somebody known already
    case_id: int | None = None  # whose keys the phone met
    day: str = ""  # where the phone named none


async def confirm_report(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    report: ContactDetails,
    choice: Choice,
    *,
    unit: str,
    reference: str,
) -> int:
    """A "call me" report is a contact: make (or take) the person and say what the phone said.

    Without a case the source stays open: a phone does not tell whose keys it met. Confirmed
    again, the same person and meetings stay and get the case. Returns the person's id. Raises
    Refused (404), DetailsError, ContactError (422).
    """
    evidence = evidence_of_report(report, choice.day, services.now)
    source = None
    if choice.case_id is not None:
        source = (await cases.case_of(session, staff.scope, choice.case_id)).person_id
    before = await person_of_report(session, report.handover)
    if before is not None:
        person = before
    elif choice.person_id is not None:
        person = (await register.get(session, staff.scope, choice.person_id)).id
    else:
        details = check_details(
            details_of_report(report, choice.name, reference), vietnam_day(services.now)
        )
        opened = Register.open(services.settings.secrets_folder)
        person = (await register.add(session, opened, details, unit=unit, now=services.now)).id
    checked = await both_sides(session, services, report.handover)
    found = [(known or source, one) for known, one in checked]
    covered = {one.day for _known, one in checked}
    found += [(source, one) for one in evidence if one.day not in covered]
    await add_phone_evidence(
        session, services, staff, exposed_id=person, handover=report.handover, evidence=found
    )
    return person


async def both_sides(
    session: AsyncSession, services: Services, handover: bytes
) -> list[tuple[int | None, PhoneEvidence]]:
    """What the check of a claim against the diaries of cases found: (source, a day with them).

    The source is known where somebody has said whose diary it is.
    """
    checked = await evidence_of_phones.check(session, services, handover)
    found = await _findings(session, checked)
    return [(one.case.person_id if one.case else None, one.evidence) for one in found]


@dataclass(frozen=True, slots=True)
class Finding:
    """A day on which a diary of a case shows meetings with whoever made the claim."""

    evidence: PhoneEvidence
    case: Case | None  # None: nobody has said yet whose diary it is


async def _findings(session: AsyncSession, checked: Verdict | None) -> list[Finding]:
    """Cases of all units are among them: whoever shows one asks whether its unit may be seen."""
    found = []
    for one in checked.cases if checked else ():
        case_id = await case_of_diary(session, one.diary) if one.diary else None
        case = await cases.case_of(session, EVERYWHERE, case_id) if case_id else None
        for day in sorted({met.day for met in one.encounters}):
            met = [each for each in one.encounters if each.day == day]
            found.append(Finding(_together(day, met), case))
    return found


def _together(day: str, met: Sequence[Encounter]) -> PhoneEvidence:
    """All meetings of two people on one day."""
    best = min(met, key=lambda one: list(Label).index(one.label))
    certainty = max((one.nearness for one in met), key=lambda one: one.probability).certainty
    return PhoneEvidence(
        _VERDICTS[best.label],
        day,
        tuple(dict.fromkeys(part for one in met for part in one.parts)),
        min(sum(one.minutes for one in met), 1440),
        Nearness.UNKNOWN if certainty in _NOT_CLOSE else Nearness.TWO_METRES,
        certainty,
        tuple(sorted({flag.value for one in met for flag in one.flags})),
    )


async def person_of_report(session: AsyncSession, handover: bytes) -> int | None:
    """Whose contact a hand-over was made into."""
    found: int | None = await session.scalar(
        select(Exposure.exposed_id)
        .where(Exposure.handover == handover)
        .order_by(Exposure.removed_at.is_not(None), Exposure.id.desc())
        .limit(1)
    )
    return found


async def candidates_of_report(
    session: AsyncSession, services: Services, staff: Staff, report: ContactDetails, unit: str
) -> list[tuple[Candidate, Details]]:
    """People within scope who may be the one behind a report, likeliest first, opened.

    Whoever shows them writes that to the audit.
    """
    opened = Register.open(services.settings.secrets_folder)
    (found,) = await register.candidates(
        session, opened, [(details_of_report(report, "", ""), unit)], staff.scope
    )
    details = await register.details_unscoped(session, opened, [one.person_id for one in found])
    return [(one, details[one.person_id]) for one in found]


@dataclass(frozen=True, slots=True)
class FittingCase:
    """A case that may be the one that a phone met."""

    case_id: int
    reference: str
    unit: str
    since: str
    until: str | None


async def fitting_cases(
    session: AsyncSession, scope: Scope, unit: str, days: Iterable[str]
) -> list[FittingCase]:
    """Active cases within scope that were infectious on one of the days, the nearest units first.

    Without days: all active ones.
    """
    wanted = sorted(days)
    rows = await cases.active_within(
        session, scope, wanted[0] if wanted else "", wanted[-1] if wanted else "9999"
    )
    found = [
        FittingCase(row.id, row.reference, row.unit, since, until)
        for row, since, until in rows
        if not wanted or any(since <= day <= (until or day) for day in wanted)
    ]
    return sorted(found, key=lambda one: (-_shared(one.unit, unit), one.reference))


def _shared(one: str, other: str) -> int:
    """How many levels two units share."""
    pairs = zip(one.split("."), other.split("."), strict=False)
    return sum(a == b for a, b in pairs)


# --- diaries -----------------------------------------------------------------------------
async def attach_diary(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    *,
    handover: bytes,
    reference: str,
    case_id: int,
) -> Case:
    """Say whose diary it is: the code it came under tells a unit, not a case. Said again, moved.

    Raises Refused (404).
    """
    case = await cases.case_of(session, staff.scope, case_id)
    row = await session.get(CaseDiary, handover)
    if row is None:
        row = CaseDiary(handover=handover, reference=reference)
        session.add(row)
    row.case_id, row.at = case.id, services.now
    row.account_id, row.account_name = staff.account_id, staff.name
    await session.flush()
    await audit.record(
        session, services, staff, Action.CHANGE, subject=f"case:{case.id}",
        purpose=Purpose.TRACING, detail=f"diary={reference}",
    )  # fmt: skip
    return case


async def case_of_diary(session: AsyncSession, handover: bytes) -> int | None:
    """The id of the case whose diary this is, if somebody has said so."""
    row = await session.get(CaseDiary, handover)
    return row.case_id if row else None


async def diaries_of(session: AsyncSession, case_ids: Sequence[int]) -> list[CaseDiary]:
    """The diaries of these cases, the latest first."""
    rows = await session.scalars(
        select(CaseDiary).where(CaseDiary.case_id.in_(case_ids)).order_by(CaseDiary.at.desc())
    )
    return list(rows)


# --- the inbox ---------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class InboxChoices:
    """What the inbox offers beside a decision."""

    candidates: list[tuple[Candidate, Details]]
    cases: list[FittingCase]
    needs_day: bool
    person_id: int | None  # the record that was made of it already
    case_id: int | None  # of a diary: whose it is
    findings: list[Finding] = field(default_factory=list)
    is_waiting: bool = False  # the phone sent a claim that is not checked yet


async def choices_for(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    content: ContactDetails | HandedDiary,
    unit: str,
) -> InboxChoices:
    """For a hand-over within scope. Writes to the audit if it opens people's records."""
    if isinstance(content, HandedDiary):
        fitting = await fitting_cases(session, staff.scope, unit, ())
        return InboxChoices(
            [], fitting, False, None, await case_of_diary(session, content.handover)
        )
    days = [one.day for one in usable_days(content, services.now)]
    found = await candidates_of_report(session, services, staff, content, unit)
    if found:
        await audit.record(
            session, services, staff, Action.LIST,
            subject=f"handover:{content.handover.hex()}",
            purpose=Purpose.TRACING, detail=f"persons={len(found)}",
        )  # fmt: skip
    verdict = await evidence_of_phones.verdict(session, services, content.handover)
    return InboxChoices(
        found,
        await fitting_cases(session, staff.scope, unit, days),
        not days,
        await person_of_report(session, content.handover),
        None,
        await _findings(session, verdict),
        verdict is not None and verdict.checked_at is None,
    )
