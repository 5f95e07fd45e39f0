"""A message bus of the test's own: the real dbus-daemon, with nobody on it but us."""

import shutil
import subprocess
from pathlib import Path

import pytest

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    {rule}
  </policy>
</busconfig>
"""


class PrivateBus:
    """Started at once; `rule` is one more line of policy. Close it, or use it in a `with`."""

    def __init__(self, folder: Path, rule: str = "") -> None:
        daemon = shutil.which("dbus-daemon")
        if daemon is None:
            pytest.fail(
                "dbus-daemon is missing: `./bluezone test` installs it, or say"
                " `apt-get install dbus-daemon`"
            )
        socket, config = folder / "bus", folder / "bus.conf"
        config.write_text(_CONFIG.format(socket=socket, rule=rule))
        self._process = subprocess.Popen(
            [daemon, "--nofork", "--nopidfile", "--print-address", f"--config-file={config}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        assert self.address, "dbus-daemon did not start"

    def close(self) -> None:
        """Stop it; everybody on it is disconnected."""
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __enter__(self) -> "PrivateBus":
        return self

    def __exit__(self, *_fault: object) -> None:
        self.close()
