"""The periodic work of holdings."""

from typing import Final

from bluezone.server.holdings.retention import forget_old
from bluezone.server.jobs import Job

jobs: Final = [Job("retention", 24 * 3600, forget_old)]
