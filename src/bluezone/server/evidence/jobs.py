"""The periodic work of evidence."""

from bluezone.server.evidence.service import check_waiting, forget_old
from bluezone.server.jobs import Job

jobs = [
    # Soon, for until then the claimant's keys lie here; not at once, for a receipt tells nothing.
    Job("evidence-check", 3600, check_waiting),
    Job("evidence-retention", 3600, forget_old),
]
