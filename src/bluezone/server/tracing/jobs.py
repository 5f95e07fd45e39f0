"""The periodic work of tracing."""

from bluezone.server.jobs import Job
from bluezone.server.tracing.service import forget_old

# Hourly, though thirty days need no such haste: what is promised to be gone is gone.
jobs = [Job("tracing-retention", 3600, forget_old)]
