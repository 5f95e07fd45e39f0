"""`bluezone radio`: two phone processes hear each other through a third process."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bluezone.clock.driven import ClockFile
from bluezone.commands.radio import command

# A whole phone's radio in a process of its own: says what it heard of whom.
_PHONE = """
import asyncio, sys
from bluezone.clock import WallClock
from bluezone.radio.hci import HciRadio

async def main(spec, payload):
    radio = await HciRadio.open(spec, WallClock())
    await radio.advertise(payload)
    print("on", flush=True)
    sys.stdin.readline()
    for sighting in await radio.scan(3.0):
        print(sighting.payload.hex(), len(sighting.rssi), min(sighting.rssi), max(sighting.rssi))
    await radio.close()

asyncio.run(main(sys.argv[1], bytes.fromhex(sys.argv[2])))
"""


@pytest.fixture
def radio() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from bluezone.cli import main; main()"),
            *("radio", "--listen=127.0.0.1:0", "--every=1"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PYTHONUNBUFFERED": "1"},
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _phone(spec: str, payload: bytes) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _PHONE, spec, payload.hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_phone_processes_hear_each_other(radio: subprocess.Popen[str]) -> None:
    assert radio.stdout is not None
    spec = re.fullmatch(r"radio on (tcp-client:127\.0\.0\.1:\d+)\n", radio.stdout.readline())
    assert spec is not None
    payloads = [b"a" * 20, b"b" * 20]
    phones = [_phone(spec[1], payload) for payload in payloads]
    for phone in phones:
        assert phone.stdout is not None
        assert phone.stdout.readline() == "on\n"
    for phone in phones:
        assert phone.stdin is not None
        phone.stdin.write("now\n")
        phone.stdin.flush()
    for phone, other in zip(phones, reversed(payloads), strict=True):
        heard, _ = phone.communicate(timeout=30)
        assert phone.returncode == 0
        ((payload, packets, weakest, strongest),) = [line.split() for line in heard.splitlines()]
        assert payload == other.hex()
        assert 4 <= int(packets) <= 13
        assert -95 <= int(weakest) <= int(strongest) <= -30
    radio.send_signal(signal.SIGINT)
    said = radio.stdout.read()
    assert radio.wait(timeout=10) == 0
    assert said.count("joined at") == said.count("hung up") == 2
    assert re.search(r"\d on the air: \d+\.\d packets/s heard", said)
    assert said.endswith("radio off\n")
    assert "Traceback" not in said
    for payload in payloads:
        assert payload.hex() not in said


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("127.0.0.1", "is not HOST:PORT"),
        (":9100", "is not this machine"),
        ("127.0.0.1:radio", "is not HOST:PORT"),
        ("127.0.0.1:99999", "cannot listen"),
        ("0.0.0.0:9100", "is not this machine"),
    ],
)
def test_a_wrong_address_is_explained(listen: str, why: str) -> None:
    result = CliRunner().invoke(command, ["--listen", listen])
    assert result.exit_code != 0
    assert why in result.output
    assert "Traceback" not in result.output


def test_only_a_rehearsal_passes_faster(tmp_path: Path) -> None:
    alone = CliRunner().invoke(command, ["--speed", "60"])
    assert "give --clock-file FILE" in alone.output
    (tmp_path / "notes").write_text("not a clock")
    wrong = CliRunner().invoke(command, ["--clock-file", str(tmp_path / "notes")])
    assert "is not a clock" in wrong.output
    assert (tmp_path / "notes").read_text() == "not a clock"


def test_a_rehearsal_goes_on_where_it_was_and_frees_who_was_killed(tmp_path: Path) -> None:
    evening = 1_611_144_000.25
    file = ClockFile.create(tmp_path / "clock", evening)
    file.horizon = evening - 1  # of a service that was killed at its work
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from bluezone.cli import main; main()"),
            *("radio", "--listen=127.0.0.1:0", f"--clock-file={tmp_path / 'clock'}"),
            "--speed=200",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        assert "stands at 2021-01-20 19:00:01 (UTC+7)" in process.stdout.readline()
        seen = {file.now}
        for _ in range(1000):
            seen.add(file.now)
            if max(seen) > evening + 600:
                break
            time.sleep(0.01)
        assert evening <= min(seen) < evening + 300  # it went on, and not from today's time
        assert max(seen) > evening + 600
        assert len(seen) > 20  # in small steps: phones live by them
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10)[0].endswith("radio off\n")
    finally:
        process.kill()
        process.communicate()
    file.close()


def test_help_says_how_to_join() -> None:
    assert "tcp-client:HOST:PORT" in CliRunner().invoke(command, ["--help"]).output
