"""All tables of all duties: the one place that migrations look at."""

from bluezone.server import announcements, jobs
from bluezone.server.audit import tables as audit
from bluezone.server.cases import tables as cases
from bluezone.server.contacts import tables as contacts
from bluezone.server.diagnosis import tables as diagnosis
from bluezone.server.evidence import tables as evidence
from bluezone.server.holdings import tables as holdings
from bluezone.server.invitations import tables as invitations
from bluezone.server.linelists import tables as linelists
from bluezone.server.messaging import tables as messaging
from bluezone.server.news import tables as news
from bluezone.server.people import tables as people
from bluezone.server.places import tables as places
from bluezone.server.register import tables as register
from bluezone.server.rotation import tables as rotation
from bluezone.server.rulebook import tables as rulebook
from bluezone.server.tracing import tables as tracing
from bluezone.server.work import tables as work
from bluezone.storage import lease
from bluezone.storage.database import Base

# Importing a module of tables is what puts them into the metadata.
MODULES = (
    lease,
    jobs,
    announcements,
    people,
    diagnosis,
    tracing,
    evidence,
    messaging,
    places,
    news,
    invitations,
    audit,
    rulebook,
    rotation,
    register,
    cases,
    contacts,
    work,
    linelists,
    holdings,
)
metadata = Base.metadata
