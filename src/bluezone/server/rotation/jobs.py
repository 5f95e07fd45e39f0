"""The periodic work of rotation."""

from typing import Final

from bluezone.server.jobs import Job
from bluezone.server.rotation.service import carry_on

JOB: Final = "key-rotation"
jobs: Final = [Job(JOB, 3600, carry_on)]
