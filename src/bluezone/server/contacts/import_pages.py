"""The pages that import lists of contacts."""

from typing import Final

from fastapi import APIRouter

from bluezone.server.audit.rules import Purpose
from bluezone.server.bodies import BodyLimit
from bluezone.server.contacts.importing import CONTACTS
from bluezone.server.people.rules import StaffRole
from bluezone.server.register.import_pages import UPLOAD, ImportPages, add_pages
from bluezone.web.catalogue import _

router = APIRouter()
_PAGES: Final = ImportPages(
    shape=CONTACTS,
    address="/staff/contacts/import",
    section="contacts",
    title=_("Which contacts are in your list?"),
    explanation=_(
        "Each row is one meeting with a case, named by its reference. Somebody who is known already"
        " is recognised; a person may stand in several rows, and may live in any commune."
    ),
    purpose=Purpose.TRACING,
    role=StaffRole.HEALTH_WORKER,
)
BODY_LIMITS: Final[dict[str, BodyLimit]] = {_PAGES.address: UPLOAD}
add_pages(router, _PAGES)
