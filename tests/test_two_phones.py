"""The README's two phones as real processes, command by command, and a third one far away."""

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

PAGE = Path(__file__).parents[1] / "README.md"
SPEED = "300"  # the page's 60 would take five minutes
PASSWORD = "bốn con mèo trắng"
WARNING = "điện thoại này đã ở gần điện thoại của một người sau đó được xác nhận mắc COVID-19"
HEARD = re.compile(r"Điện thoại xung quanh: (\d) \((\d) gần, (\d) xa\)")


class Windows:
    """Terminal windows on one folder: starts the page's commands, reads what they print."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (export,) = re.findall(r"^export (.*)$", PAGE.read_text("utf-8"), re.M)
        self._environment = {
            **{name: value for name, value in os.environ.items() if "BLUEZONE" not in name},
            **dict(word.split("=") for word in shlex.split(export)),
            "PYTHONUNBUFFERED": "1",
            # The machine's own keyring is none of this test's business.
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, *command: str, given: str = "") -> str:
        """A command that ends by itself; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "bluezone", *command],
            cwd=self.folder,
            env=self._environment,
            input=given.encode(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == 0, f"{command}: {said}"
        return said

    def open(self, name: str, *command: str) -> None:
        """A command that runs until `close`."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "bluezone", *command],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8")

    def wait(self, name: str, pattern: str, seconds: float = 30.0) -> re.Match[str]:
        """The first place where the window `name` says `pattern`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.said(name)):
                return found
            assert self._processes[name].poll() is None, f"{name} ended: {self.said(name)}"
            time.sleep(0.1)
        raise AssertionError(
            f"{name} has not said {pattern!r}:\n{self.said(name)}\nradio: {self.said('radio')}"
        )

    def close(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def windows(tmp_path: Path) -> Iterator[Windows]:
    opened = Windows(tmp_path)
    yield opened
    opened.close()


def page_command(start: str, **replaced: str) -> list[str]:
    """The words of the page's command that begins with `start`; `replaced` words exchanged."""
    text = PAGE.read_text("utf-8").replace("\\\n", " ")
    (line,) = re.findall(rf"^\./bluezone ({re.escape(start)}.*)$", text, re.M)
    for old, new in replaced.items():
        assert old in line
        line = line.replace(old, new)
    return shlex.split(line)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def issue_code(address: str) -> str:
    """As the health worker of the page."""
    with httpx.Client(base_url=address, trust_env=False, timeout=20) as client:
        session = client.post("/v1/staff/session", json={"name": "lan", "password": PASSWORD})
        assert session.status_code == 200, session.text
        issued = client.post(
            "/v1/staff/codes",
            json={"report_type": "confirmed-test", "symptom_onset": None},
            headers={"Authorization": f"Bearer {session.json()['token']}"},
        )
        assert issued.status_code == 200, issued.text
        return str(issued.json()["code"])


def rehearsal_minutes(radio: str) -> list[int]:
    """Minutes since midnight in the radio's lines of figures."""
    return [int(h) * 60 + int(m) for h, m in re.findall(r"; (\d\d):(\d\d), \d+ times", radio)]


def test_two_phones_meet_and_one_warns(windows: Windows) -> None:
    radio = page_command("radio", **{"--speed 60": f"--speed {SPEED}"})
    windows.open("radio", *radio, "--listen", "127.0.0.1:0", "--every", "0.5")
    spec = windows.wait("radio", r"radio on (tcp-client:\S+)\n")[1]
    windows.run(*page_command("server init"))
    windows.run(*page_command("server staff add"), "--password-stdin", given=PASSWORD)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    windows.open("service", *page_command("server run"), "--port", str(port))
    windows.wait("service", "Application startup complete")
    here = {"http://127.0.0.1:8000": address, "tcp-client:127.0.0.1:9100": spec}
    for seat, name in enumerate(("an", "binh", "chi"), 1):
        command = page_command(
            "phone run --yes --home demo/an", **here, **{"demo/an": f"demo/{name}"}
        )
        windows.open(name, *command)
        windows.wait("radio", rf"phone {seat} joined at")
    assert "phone 2 joined at 0.5 m" in windows.said("radio")
    assert "phone 3 joined at 30.5 m" in windows.said("radio")
    for name in ("an", "binh"):
        windows.wait(name, r"xung quanh: \d \(1 gần")

    together_since = rehearsal_minutes(windows.said("radio"))[-1]
    _pass(windows, together_since, 30)
    receipt = windows.run(*page_command("phone report", CODE=issue_code(address)), "--yes")
    assert "Số mã khóa đã gửi: 1." in receipt

    windows.wait("an", WARNING, 80)
    # Two warnings if the three hours went across midnight.
    minutes = re.findall(r"tổng cộng khoảng (\d+) phút: (?:rất )?gần", windows.said("an"))
    assert sum(map(int, minutes)) >= 15
    assert WARNING in windows.run("phone", "warnings", "--home", "demo/an")
    # Chi has looked through the same file, has heard the others, and is left in peace.
    windows.wait("chi", r"Đã kiểm tra tiếp xúc: 1 tệp mới, \d{3,} mã khóa")
    heard = [tuple(map(int, found)) for found in HEARD.findall(windows.said("chi"))]
    assert any(count for count, _, _ in heard)
    # Shadows lift one beacon in a hundred that comes 30 m above the level called near.
    assert sum(near for _, near, _ in heard) < sum(far for _, _, far in heard)
    for name in ("binh", "chi"):
        assert WARNING not in windows.said(name)
    assert "Traceback" not in "".join(map(windows.said, ("radio", "service", "an", "binh", "chi")))


def _pass(windows: Windows, since: int, minutes: int) -> None:
    """Wait until so many minutes of the rehearsal have passed."""
    deadline = time.monotonic() + 60
    while (rehearsal_minutes(windows.said("radio"))[-1] - since) % 1440 < minutes:
        assert time.monotonic() < deadline, windows.said("radio")
        time.sleep(0.1)
