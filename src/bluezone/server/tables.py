"""All tables of all duties: the one place that migrations look at."""

from bluezone.server import jobs
from bluezone.server.diagnosis import tables as diagnosis
from bluezone.server.people import tables as people
from bluezone.storage import lease
from bluezone.storage.database import Base

# Importing a module of tables is what puts them into the metadata.
MODULES = (lease, jobs, people, diagnosis)
metadata = Base.metadata
