"""`bluezone phone` as a person uses it, with the real radio process and no service."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import httpx
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bluezone.clock.driven import ClockFile
from bluezone.commands.phone import command
from bluezone.web.loopback import listen

_BLUEZONE = Path(sys.executable).parent / "bluezone"


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    path = tmp_path / "root-public.pem"
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    path.write_bytes(
        key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return path


@pytest.fixture
def nobody() -> str:
    """An address on this machine where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def radio() -> Iterator[str]:
    process = subprocess.Popen(
        [_BLUEZONE, "radio", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    yield process.stdout.readline().split()[-1]
    process.terminate()
    process.wait()
    process.stdout.close()


def _phone(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [*map(str, arguments)])


def _open_by_a_file(home: Path) -> None:
    """The browser is told a file, not the key, and the file does not stay."""
    seen: list[str] = []

    def browser(address: str) -> bool:
        page = Path(address.removeprefix("file://"))
        assert page.stat().st_mode & 0o777 == 0o600
        link = re.search(r'url=(http://127.0.0.1:\d+/open\?key=[\w-]+)"', page.read_text())
        assert link
        assert httpx.get(link[1], trust_env=False).status_code == 200
        seen.append(address)
        return True

    with mock.patch("webbrowser.open", browser):
        shown = _phone("open", "--home", home)
    assert (shown.exit_code, shown.output) == (0, "")
    assert seen == [(home / "open.html").as_uri()]
    assert not (home / "open.html").exists()


def test_two_phones_in_two_terminals_notice_each_other(
    tmp_path: Path, pin: Path, nobody: str, radio: str
) -> None:
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    phones = [
        subprocess.Popen(
            [
                *(
                    _BLUEZONE,
                    "phone",
                    "run",
                    "--yes",
                    "--port",
                    "0",
                    "--home",
                    tmp_path / name,
                    "--service",
                    nobody,
                ),
                *("--pin", pin, "--radio", radio, "--scan-every", "5", "--language", language),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for name, language in (("an", "vi"), ("binh", "en"))
    ]
    expected = ("Điện thoại xung quanh: 1", "Phones nearby: 1")
    try:
        for phone, line in zip(phones, expected, strict=True):
            assert phone.stdout is not None
            printed = phone.stdout.readline()
            assert "AES" not in printed
            while line not in (printed := phone.stdout.readline()):
                assert printed, "the phone ended before it saw the other"
        beside = _phone("status", "--home", tmp_path / "an", "--language", "en")
        assert beside.exit_code == 0, beside.output
        assert "Days with encounters in the diary: 1" in beside.output
        _open_by_a_file(tmp_path / "an")
        in_use = _phone("forget", "--home", tmp_path / "an", "--yes", "--language", "en")
        assert in_use.exit_code == 1
        assert "running in another window" in in_use.output
    finally:
        for phone in phones:
            phone.send_signal(signal.SIGINT)
        codes = [phone.wait(20) for phone in phones]
        for phone in phones:
            phone.stdout.close()
    assert codes == [0, 0]
    ended = _phone("open", "--home", tmp_path / "an", "--language", "en")
    assert "not running" in ended.output
    assert (tmp_path / "an").stat().st_mode & 0o077 == 0
    gone = _phone("forget", "--home", tmp_path / "an", "--yes")
    assert gone.exit_code == 0
    assert list((tmp_path / "an").iterdir()) == []


def test_a_taken_port_is_named_with_what_to_do(
    tmp_path: Path, pin: Path, nobody: str, radio: str
) -> None:
    with listen(0) as other:
        port = other.getsockname()[1]
        ended = subprocess.run(
            [
                *(_BLUEZONE, "phone", "run", "--yes", "--language", "en", "--port", str(port)),
                *("--home", tmp_path / "an", "--service", nobody, "--pin", pin, "--radio", radio),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert f"Port {port} is taken by another program." in ended.stderr
    assert "leave --port out" in ended.stderr
    assert "folder" not in ended.stderr


def test_a_phone_has_to_be_told_once_where_its_service_is(
    tmp_path: Path, pin: Path, nobody: str
) -> None:
    home = tmp_path / "phone"
    unknown = _phone("warnings", "--home", home)
    assert unknown.exit_code == 1
    assert "--pin" in unknown.output
    told = _phone("check", "--home", home, "--service", nobody, "--pin", pin, "--language", "en")
    assert told.exit_code == 1
    assert "cannot be reached" in told.output
    assert "Checked" not in told.output
    later = _phone("warnings", "--home", home, "--language", "en")
    assert (later.exit_code, later.output) == (0, "No warnings.\n")


def test_a_rehearsals_time_is_for_demonstrations_and_for_good(
    tmp_path: Path, pin: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, clock, known = tmp_path / "phone", tmp_path / "clock", ("--service", nobody, "--pin", pin)
    missing = _phone("check", "--home", home, *known, "--clock-file", clock)
    assert "only BLUEZONE_ENVIRONMENT=demo allows it" in missing.output
    monkeypatch.setenv("BLUEZONE_ENVIRONMENT", "demo")
    missing = _phone("check", "--home", home, *known, "--clock-file", clock)
    assert "start what drives it first" in missing.output
    assert not home.exists()  # nothing of it was kept

    ClockFile.create(clock, 1_611_144_000).close()  # 20 January 2021, 19:00 UTC+7
    _phone("check", "--home", home, *known, "--clock-file", clock)
    assert "20/01 19:00" in _phone("status", "--home", home).output
    ClockFile.create(tmp_path / "other", 1_611_144_000).close()
    other = _phone("check", "--home", home, "--clock-file", tmp_path / "other")
    assert "a diary cannot hold two" in other.output
    monkeypatch.delenv("BLUEZONE_ENVIRONMENT")
    assert "only BLUEZONE_ENVIRONMENT=demo" in _phone("warnings", "--home", home).output

    _phone("check", "--home", tmp_path / "real", *known)
    monkeypatch.setenv("BLUEZONE_ENVIRONMENT", "demo")
    late = _phone("check", "--home", tmp_path / "real", "--clock-file", clock)
    assert "a diary cannot hold two" in late.output


def test_a_report_shows_what_is_sent_and_asks(tmp_path: Path, pin: Path, nobody: str) -> None:
    home = tmp_path / "phone"
    arguments = ["--home", str(home), "--service", nobody, "--pin", str(pin)]
    code = "1234-5678-9012"
    result = CliRunner().invoke(command, ["report", code, *arguments], input="n\n")
    assert result.exit_code == 1
    assert "Dữ liệu được gửi" in result.output
    assert "không đồng ý" in result.output
    wrong = _phone("report", "1234", "--yes", "--language", "en", *arguments)
    assert "A code has 12 digits" in wrong.output
    assert "What is sent" not in wrong.output
    unreachable = _phone("report", "123456789012", "--yes", "--language", "en", *arguments)
    assert unreachable.exit_code == 1
    assert "Nothing was sent" in unreachable.output


@pytest.mark.parametrize(
    ("typed", "forgotten"),
    [("có", True), ("CO\u0301", True), ("Y", True), ("c", True), ("", False), ("Không", False)],
)
def test_a_question_is_answered_in_either_language(
    tmp_path: Path, typed: str, forgotten: bool
) -> None:
    arguments = ["forget", "--home", str(tmp_path)]
    result = CliRunner().invoke(command, arguments, input=f"có lẽ\n{typed}\n")
    assert "[có/KHÔNG]" in result.output
    assert "Vui lòng trả lời có hoặc không." in result.output
    assert ("Đã xóa" in result.output) is forgotten, result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--service", "http://bluezone.example"], "https"),
        (["--pin", __file__], "PEM"),
    ],
)
def test_unsafe_settings_are_refused_in_words(
    tmp_path: Path, pin: Path, nobody: str, arguments: list[str], complaint: str
) -> None:
    good = ["--service", nobody, "--pin", str(pin)]
    kept = [
        value
        for option, value in zip(good[::2], good[1::2], strict=True)
        if option not in arguments
        for value in (option, value)
    ]
    result = _phone("check", "--home", tmp_path / "phone", *kept, *arguments)
    assert result.exit_code == 1
    assert complaint in result.output
    assert "Traceback" not in result.output


def test_installing_shows_writes_and_removes_the_background_program(
    tmp_path: Path, pin: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a systemctl that keeps what it is told in place of the system's."""
    programs, told = tmp_path / "bin", tmp_path / "told"
    programs.mkdir()
    systemctl = programs / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    unit = tmp_path / "settings/systemd/user/bluezone-phone.service"
    known = ("--home", tmp_path / "an", "--service", nobody, "--pin", pin, "--language", "en")

    shown = _phone("install", "--print", *known)
    assert shown.exit_code == 0, shown.output
    assert not unit.exists()
    done = _phone("install", *known, "--radio", "bluez:hci1", "--model", "SM-A405FN")
    assert "runs in the background now" in done.output
    assert '"--radio" "bluez:hci1" "--model" "SM-A405FN"' in unit.read_text()
    assert f'"--home" "{tmp_path / "an"}"' in unit.read_text()
    assert told.read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable --now bluezone-phone.service",
    ]
    gone = _phone("uninstall", "--language", "en")
    assert "Its diary is kept" in gone.output
    assert not unit.exists()
    assert "disable --now" in told.read_text().splitlines()[-1]
    assert "nothing to remove" in _phone("uninstall", "--language", "en").output

    systemctl.write_text("#!/bin/sh\nexit 1\n")
    alone = _phone("install", *known)
    assert alone.exit_code == 0
    assert "systemctl --user enable --now bluezone-phone.service" in alone.output
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setenv("HOME", str(tmp_path))
    elsewhere = _phone("install", *known)
    assert "could not try this on macOS" in elsewhere.output
    assert (tmp_path / "Library/LaunchAgents/vn.bluezone.phone.plist").exists()


def test_a_radio_that_is_not_there_is_said(tmp_path: Path, pin: Path, nobody: str) -> None:
    arguments = ["--home", tmp_path / "phone", "--service", nobody, "--pin", pin]
    result = _phone("run", *arguments, "--radio", "tcp-client:127.0.0.1:1")
    assert result.exit_code == 1
    assert "radio" in result.output


def test_damaged_settings_are_said(tmp_path: Path) -> None:
    (tmp_path / "phone.json").write_text("{")
    result = _phone("status", "--home", tmp_path)
    assert result.exit_code == 1
    assert "phone.json is damaged" in result.output
