"""The periodic work of contacts."""

from bluezone.server.contacts.deriving import renew
from bluezone.server.jobs import Job

# A rule becomes valid at the beginning of a Vietnamese day, which is a full hour.
jobs = [Job("renew-ranks", 3600, renew)]
