"""The periodic work of line lists."""

from bluezone.server.jobs import Job
from bluezone.server.linelists.reports import make_due
from bluezone.server.linelists.searching import forget_old

jobs = [
    Job("make-scheduled-reports", 3600, make_due),
    Job("forget-saved-searches", 86400, forget_old),
]
