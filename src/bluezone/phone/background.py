"""The phone as a background program: what Linux, macOS and Windows want written to start it.

systemd.unit(5), launchd.plist(5). Only the first has been run by us (docs/radio.md).
"""

import os
import plistlib
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NAME: Final = "bluezone-phone.service"
_LABEL: Final = "vn.bluezone.phone"
_UNIT: Final = """\
[Unit]
Description=Bluezone: notices which phones are near, and warns of exposures

[Service]
Type=exec
ExecStart={command}
# What it says names days of exposure, and the journal keeps it for others than its owner: the
# pages and the desktop tell. Failures still go to the journal, on standard error.
StandardOutput=null
# A radio or a network that is away is no failure; whatever else ends it is tried again.
Restart=on-failure
RestartSec=30
# The diary is nobody else's to read.
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
# D-Bus and the keyring, the service, and controllers that speak HCI. Not here:
# MemoryDenyWriteExecute, because the matching kernel is compiled while it runs.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_BLUETOOTH AF_NETLINK

[Install]
WantedBy=default.target
"""


@dataclass(frozen=True, slots=True)
class BackgroundProgram:
    """One file that makes a system start the phone at login, and the commands beside it."""

    system: str
    path: Path
    content: bytes
    start: tuple[tuple[str, ...], ...]  # after the file is written: now, and at every login
    end: tuple[tuple[str, ...], ...]  # before it is deleted
    tested: bool

    def write(self) -> None:
        """Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self.content)

    def remove(self) -> bool:
        """Delete the file; False if there was none. Raises OSError."""
        if not self.path.exists():
            return False
        self.path.unlink()
        return True


def background_program(
    platform: str, command: Sequence[str], environment: Mapping[str, str], home: Path
) -> BackgroundProgram:
    """For `sys.platform`, a command line, the environment and the person's home folder."""
    if platform == "darwin":
        return _launchd(command, home)
    if platform == "win32":
        return _startup_folder(command, environment, home)
    return _systemd(command, environment, home)


def run(commands: Sequence[Sequence[str]]) -> bool:
    """Run them in turn; False as soon as one is not there or fails."""
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _systemd(
    command: Sequence[str], environment: Mapping[str, str], home: Path
) -> BackgroundProgram:
    # The specification wants relative paths ignored (XDG Base Directory, 0.8).
    given = Path(environment.get("XDG_CONFIG_HOME", ""))
    settings = given if given.is_absolute() else home / ".config"
    line = " ".join(_quoted(word) for word in command)
    manage = ("systemctl", "--user")
    return BackgroundProgram(
        "Linux",
        settings / "systemd" / "user" / _NAME,
        _UNIT.format(command=line).encode(),
        ((*manage, "daemon-reload"), (*manage, "enable", "--now", _NAME)),
        ((*manage, "disable", "--now", _NAME),),
        tested=True,
    )


def _quoted(word: str) -> str:
    """One word of a command line in a unit (systemd.service(5), "Command lines")."""
    if "\n" in word:
        raise ValueError("a line break cannot stand in a command line")
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(plain, escaped)
    return f'"{word}"'


def _launchd(command: Sequence[str], home: Path) -> BackgroundProgram:
    path = home / "Library" / "LaunchAgents" / f"{_LABEL}.plist"
    content = plistlib.dumps(
        {
            "Label": _LABEL,
            "ProgramArguments": list(command),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ProcessType": "Background",
            "Umask": 0o077,
            # As on Linux: what it says is its owner's alone. Failures are launchd's to keep.
            "StandardOutPath": "/dev/null",
        }
    )
    domain = f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"
    return BackgroundProgram(
        "macOS",
        path,
        content,
        (("launchctl", "bootstrap", domain, str(path)),),
        (("launchctl", "bootout", f"{domain}/{_LABEL}"),),
        tested=False,
    )


def _startup_folder(
    command: Sequence[str], environment: Mapping[str, str], home: Path
) -> BackgroundProgram:
    data = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
    folder = data / "Microsoft" / "Windows" / "Start Menu" / "Programs" / "Startup"
    line = subprocess.list2cmdline(command).replace("%", "%%")
    path = folder / "bluezone-phone.cmd"
    # Code page 65001 is UTF-8: folders have Vietnamese names.
    text = f'@chcp 65001 >nul\r\n@start "Bluezone" /min {line}\r\n'
    return BackgroundProgram("Windows", path, text.encode(), ((str(path),),), (), tested=False)
