"""The periodic work of line lists."""

from bluezone.server.jobs import Job
from bluezone.server.linelists.reports import make_due

jobs = [Job("make-scheduled-reports", 3600, make_due)]
