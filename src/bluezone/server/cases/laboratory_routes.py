"""What laboratories hand in: by a program, by a file, and the list of their own results."""

import datetime as dt
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Request, Response

from bluezone.protocol.intervals import vietnam_day, vietnam_time
from bluezone.protocol.unprintable import Unprintable
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.bodies import BodyLimit, json_answer, read_json
from bluezone.server.cases import laboratory
from bluezone.server.cases.importing import RESULTS, hand_in, ready_rows
from bluezone.server.cases.laboratory import Sample
from bluezone.server.cases.rules import Method, Result
from bluezone.server.contacts.deriving import take_turn
from bluezone.server.context import Parts
from bluezone.server.errors import Refused
from bluezone.server.pages import page
from bluezone.server.people.rules import StaffRole
from bluezone.server.places.naming import commune_named
from bluezone.server.register import service as register
from bluezone.server.register.import_pages import UPLOAD, ImportPages, add_pages
from bluezone.server.register.rules import Details, Sex, check_details
from bluezone.server.register.service import Register
from bluezone.web.catalogue import _

AT_ONCE: Final = 500
_PAGES: Final = ImportPages(
    shape=RESULTS,
    address="/staff/results/file",
    section="results",
    title=_("Which results are in your file?"),
    explanation=_(
        "Each row is one sample of one person. A sample that was handed in before is recognised by"
        " its number; mark a corrected result in a column Correction."
    ),
    purpose=Purpose.LABORATORY,
    role=StaffRole.LABORATORY,
)
BODY_LIMITS: Final = {
    _PAGES.address: UPLOAD,
    "/v1/staff/results": BodyLimit(1024 * 1024, 20.0),
}

router = APIRouter()


class SampledPerson(Unprintable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose sample it is; everything may be empty but the name and the commune."""

    name: Annotated[str, msgspec.Meta(max_length=120)]
    commune: Annotated[str, msgspec.Meta(max_length=200)]  # a code, or as in "Ba Đình, Hà Nội"
    phone: Annotated[str, msgspec.Meta(max_length=20)] = ""
    identity: Annotated[str, msgspec.Meta(max_length=20)] = ""
    birth: Annotated[str, msgspec.Meta(max_length=10)] = ""  # ISO day, or the year alone
    sex: Sex = Sex.UNKNOWN
    address: Annotated[str, msgspec.Meta(max_length=300)] = ""


class SampleResult(Unprintable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One result as a program of a laboratory sends it."""

    sample: Annotated[str, msgspec.Meta(max_length=100)]
    person: SampledPerson
    sampled_on: dt.date
    method: Method
    result: Result
    correction: bool = False


class SampleReceipt(msgspec.Struct, frozen=True):
    """What became of one result (cases.laboratory.Receipt)."""

    sample: str
    receipt: str


class ResultsAnswer(msgspec.Struct, frozen=True):
    """In the order in which they were sent."""

    results: list[SampleReceipt]


@router.post("/v1/staff/results")
@allows(StaffRole.LABORATORY)
async def results(request: Request, services: Parts, staff: SignedIn) -> Response:
    """SampleResult, or a list of them → ResultsAnswer. All are taken, or none."""
    body = await read_json(request, SampleResult | list[SampleResult])  # type: ignore[arg-type]
    given: list[SampleResult] = body if isinstance(body, list) else [body]
    if not 1 <= len(given) <= AT_ONCE:
        raise Refused(
            422, "results-count", _("Please send 1 to {limit} results at a time."), limit=AT_ONCE
        )
    today = vietnam_day(services.now)
    rows = [_checked(number, one, today) for number, one in enumerate(given, 1)]
    if len({sample.sample for *_person, sample in rows}) != len(rows):
        raise Refused(422, "sample-twice", _("The same sample comes twice in what was sent."))
    own = Register.open(services.settings.secrets_folder)
    async with services.database.transaction() as session:
        await take_turn(session)  # sent twice at once, a sample still counts once
        alike = await register.candidates(
            session, own, [(details, unit) for details, unit, _sample in rows]
        )
        receipts = await hand_in(session, services, staff, ready_rows(rows, alike))
        await audit.record(
            session,
            services,
            staff,
            Action.ADD,
            purpose=Purpose.LABORATORY,
            detail=f"results: {len(rows)}",
        )
    return json_answer(
        ResultsAnswer(
            [
                SampleReceipt(sample.sample, receipt.value)
                for (*_person, sample), receipt in zip(rows, receipts, strict=True)
            ]
        )
    )


def _checked(number: int, given: SampleResult, today: dt.date) -> tuple[Details, str, Sample]:
    person = given.person
    try:
        details = check_details(
            Details(
                name=person.name,
                phone=person.phone,
                identity=person.identity,
                birth=person.birth,
                sex=person.sex,
                address=person.address,
            ),
            today,
        )
        unit = commune_named(person.commune).path
        sample = laboratory.check_sample(
            Sample(
                sample=given.sample,
                sampled_on=given.sampled_on,
                method=given.method,
                result=given.result,
                correction=given.correction,
            ),
            today,
            details.birth,
        )
    except Refused as refused:
        # Which of them, before what is wrong with it.
        raise Refused(
            422, refused.error, refused.message, headers={"X-Result": str(number)}, **refused.values
        ) from None
    return details, unit, sample


@router.get("/staff/results")
@allows(StaffRole.LABORATORY)
async def results_page(
    request: Request, services: Parts, staff: SignedIn, before: int = 0, sample: str = ""
) -> Response:
    """What this laboratory handed in, and nothing else."""
    wanted = " ".join(sample.replace("\0", "").split())[: laboratory.SAMPLE_LETTERS]
    async with services.database.read() as session:
        shown = await laboratory.own_results(
            session, staff.name, before=max(0, min(before, 2**62)), sample=wanted
        )
    return page(
        request,
        "cases/results.html",
        results=[(one, vietnam_time(one.reported_at)) for one in shown.results],
        before=shown.before,
        sample=wanted,
    )


add_pages(router, _PAGES)
