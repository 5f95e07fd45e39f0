"""The files that start a phone at login, read back by those who will read them."""

import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

from bluezone.phone.background import background_program

_COMMAND = ["/opt/blue zone/bin/bluezone", "phone", "run", "--home", '/home/Nguyễn "An" 100%$x']


def test_the_systemd_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    program = tmp_path / "blue zone"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = background_program("linux", [str(program), *_COMMAND[1:]], {}, tmp_path)
    assert unit.path == tmp_path / ".config/systemd/user/bluezone-phone.service"
    assert unit.start[-1] == ("systemctl", "--user", "enable", "--now", "bluezone-phone.service")
    unit.write()
    text = unit.path.read_text()
    assert f'ExecStart="{program}" "phone" "run" "--home" ' in text
    assert '"/home/Nguyễn \\"An\\" 100%%$$x"' in text
    assert "StandardOutput=null" in text.splitlines()
    assert "StandardError" not in text
    if shutil.which("systemd-analyze"):
        done = subprocess.run(
            ["systemd-analyze", "--user", "verify", unit.path],
            capture_output=True,
            text=True,
            check=False,
            env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )
        ours = [line for line in done.stderr.splitlines() if "bluezone" in line]
        assert not ours, ours
    assert unit.remove()
    assert not unit.remove()


def test_the_folder_of_settings_is_where_the_person_put_it(tmp_path: Path) -> None:
    there = {"XDG_CONFIG_HOME": str(tmp_path / "settings")}
    unit = background_program("linux", _COMMAND, there, Path("/home/an"))
    assert unit.path == tmp_path / "settings/systemd/user/bluezone-phone.service"
    relative = background_program("linux", _COMMAND, {"XDG_CONFIG_HOME": "x"}, Path("/home/an"))
    assert relative.path.is_relative_to("/home/an/.config")


def test_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="line break"):
        background_program("linux", ["bluezone", "a\nExecStart=evil"], {}, Path("/home/an"))


def test_the_launchd_agent_is_a_property_list(tmp_path: Path) -> None:
    agent = background_program("darwin", _COMMAND, {}, tmp_path)
    assert agent.path == tmp_path / "Library/LaunchAgents/vn.bluezone.phone.plist"
    read = plistlib.loads(agent.content)
    assert read["ProgramArguments"] == _COMMAND
    assert read["RunAtLoad"] is True
    assert read["StandardOutPath"] == "/dev/null"
    assert read["KeepAlive"] == {"SuccessfulExit": False}
    assert not agent.tested


def test_the_start_up_entry_of_windows_quotes_what_has_spaces(tmp_path: Path) -> None:
    entry = background_program("win32", _COMMAND, {"APPDATA": str(tmp_path)}, Path("C:/Users/An"))
    assert entry.path.parent == tmp_path / "Microsoft/Windows/Start Menu/Programs/Startup"
    lines = entry.content.decode().split("\r\n")
    assert lines[1].startswith('@start "Bluezone" /min "/opt/blue zone/bin/bluezone" phone run')
    assert "100%%$x" in lines[1]
    assert not entry.tested
