"""The pages that import lists of cases."""

from typing import Final

from fastapi import APIRouter

from bluezone.server.audit.rules import Purpose
from bluezone.server.bodies import BodyLimit
from bluezone.server.cases.importing import CASES
from bluezone.server.people.rules import StaffRole
from bluezone.server.register.import_pages import UPLOAD, ImportPages, add_pages
from bluezone.web.catalogue import _

router = APIRouter()
_PAGES: Final = ImportPages(
    shape=CASES,
    address="/staff/cases/import",
    section="cases",
    title=_("Which cases are in your list?"),
    explanation=_(
        "Each row is one case. Only the name is needed; without a status a row is a suspected"
        " case, without a day of the report it is reported today."
    ),
    purpose=Purpose.CASE,
    role=StaffRole.HEALTH_WORKER,
)
BODY_LIMITS: Final[dict[str, BodyLimit]] = {_PAGES.address: UPLOAD}
add_pages(router, _PAGES)
