"""`bluezone server …` as an operator uses it: sentences, never tracebacks."""

import json
import math
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec

from bluezone.clock.driven import ClockFile
from bluezone.commands.server import command, listen
from bluezone.protocol.trust import Pins, Role, read_certificates
from bluezone.server.keys import certify, load_private_key

PASSWORD = "bốn con trâu qua cầu\n"
NOON = 1_611_144_000


def _bluezone(*arguments: str, given: str = "", **environment: str) -> Result:
    return CliRunner(env=environment).invoke(command, arguments, input=given)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    made = _bluezone("init", "--home", str(home))
    assert made.exit_code == 0, made.output
    assert "root.pem offline" in made.output
    return home


@contextmanager
def _running(home: Path, *arguments: str, **environment: str) -> Iterator[httpx.Client]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = "from bluezone.cli import main; main()"
    options = ("--home", str(home), "--port", str(port), *arguments)
    with (
        subprocess.Popen(
            [sys.executable, "-c", start, "server", "run", *options],
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        try:
            for _ in range(600):
                try:
                    client.get("/health/live")
                    break
                except httpx.TransportError:
                    assert process.poll() is None, process.stderr and process.stderr.read()
                    time.sleep(0.05)
            yield client
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    for line in log.splitlines():
        json.loads(line)


def test_private_keys_are_private(home: Path) -> None:
    files = [home / "root.pem", *(home / "secrets").glob("*.pem")]
    assert len(files) == 7
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_second_init_changes_nothing(home: Path) -> None:
    before = (home / "public" / "trust.json").read_bytes()
    again = _bluezone("init", "--home", str(home))
    assert again.exit_code == 1
    assert "is an installation already; nothing was changed" in again.output
    assert (home / "public" / "trust.json").read_bytes() == before


def test_an_init_that_found_no_database_can_be_repeated(tmp_path: Path) -> None:
    home = tmp_path / "home"
    failed = _bluezone(
        "init", "--home", str(home), "--database", f"postgresql:///x?host={tmp_path}"
    )
    assert failed.exit_code == 1
    assert "the database cannot be used" in failed.output
    assert _bluezone("init", "--home", str(home)).exit_code == 0


def test_staff_add_refuses_in_sentences(home: Path) -> None:
    def add(name: str, password: str, unit: str = "00004") -> str:
        options = ("--unit", unit, "--home", str(home), "--password-stdin")
        result = _bluezone("staff", "add", name, *options, given=password)
        assert "Traceback" not in result.output
        return result.output

    assert "Account lan (health-worker, unit 00004: Phường Ba Đình, Thành phố Hà Nội) made." in add(
        "Lan", PASSWORD
    )
    assert "exists already" in add("lan", PASSWORD)
    assert "12 to 200 characters" in add("binh", "short\n")
    assert "easy to guess" in add("binh", "password123456\n")
    assert "A name has" in add("b i n h", PASSWORD)
    assert "There is no unit HN 01" in add("binh", PASSWORD, unit="HN 01")


def test_accounts_are_looked_after_by_commands(home: Path) -> None:
    def staff(*arguments: str, fails: bool = False) -> str:
        given = PASSWORD if "--password-stdin" in arguments else ""
        result = _bluezone("staff", *arguments, "--home", str(home), given=given)
        assert "Traceback" not in result.output
        assert (result.exit_code == 0) is not fails, result.output
        return result.output

    hanoi = ("--role", "admin", "--unit", "01")
    staff("add", "hung", "--unit", "00004", "--password-stdin")
    assert "hung is now admin of 01." in staff("grant", "Hung", *hanoi)
    assert "hung  health-worker 00004, admin 01  last sign-in never  second factor no" in staff(
        "list", "--state", "unused"
    )
    assert "hung" not in staff("list", "--state", "unused", "--unit", "48")
    assert "No such account." in staff("list", "--unit", "48")
    assert "There is no such account" in staff("grant", "nobody", *hanoi, fails=True)
    assert "There is no unit 999" in staff(
        "grant", "hung", "--role", "admin", "--unit", "999", fails=True
    )
    assert "hung is no longer admin of 01." in staff("revoke", "hung", *hanoi)
    assert "does not have this role" in staff("revoke", "hung", *hanoi, fails=True)
    assert "has a new password and no second factor" in staff("reset", "hung", "--password-stdin")
    assert "Aborted" in staff("end", "hung", fails=True)
    assert "has ended; open tasks handed back: 0." in staff("end", "hung", "--yes")
    assert "There is no such account" in staff("end", "hung", "--yes", fails=True)
    assert "hung  -  last sign-in never" in staff("list", "--state", "ended")


def test_without_an_installation(tmp_path: Path) -> None:
    for arguments in (
        ("run", "--port", "0"),
        ("staff", "add", "lan", "--unit", "X", "--password-stdin"),
    ):
        result = _bluezone(*arguments, "--home", str(tmp_path / "none"), given=PASSWORD)
        assert result.exit_code == 1
        assert "bluezone server init" in result.output


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"BLUEZONE_ENVIRONMENT": "testing"}, "must be production or demo"),
        ({"BLUEZONE_SECOND_FACTOR": "optional"}, "only BLUEZONE_ENVIRONMENT=demo allows it"),
        ({"BLUEZONE_MAX_BODY_BYTES": "many"}, "must be a whole number"),
        ({"BLUEZONE_DATABSE": "x"}, "unknown setting BLUEZONE_DATABSE"),
        ({"BLUEZONE_DATABASE": "mysql://x/y"}, "a database URL looks like"),
        ({"BLUEZONE_DATABASE": "sqlite:////no/such/folder/x.db"}, "cannot be used"),
    ],
)
def test_wrong_settings(home: Path, environment: dict[str, str], told: str) -> None:
    result = _bluezone("jobs", "run", "export", "--home", str(home), **environment)
    assert result.exit_code == 1
    assert told in result.output
    assert isinstance(result.exception, SystemExit)


def test_a_driven_clock_is_refused_in_production(home: Path, tmp_path: Path) -> None:
    ClockFile.create(tmp_path / "clock", NOON).close()
    result = _bluezone("run", "--home", str(home), "--clock-file", str(tmp_path / "clock"))
    assert result.exit_code == 1
    assert "only BLUEZONE_ENVIRONMENT=demo allows it" in result.output
    named = _bluezone(
        "jobs", "run", "export", "--home", str(home), BLUEZONE_CLOCK_FILE=str(tmp_path / "clock")
    )
    assert "only BLUEZONE_ENVIRONMENT=demo allows it" in named.output


def test_what_is_no_clock_is_said(home: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a clock")
    options = ("--home", str(home), "--clock-file", str(tmp_path / "notes"))
    result = _bluezone("run", *options, BLUEZONE_ENVIRONMENT="demo")
    assert (result.exit_code, "is not a clock" in result.output) == (1, True)


def test_a_port_that_is_taken_is_said_in_a_sentence(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = _bluezone("run", "--home", str(home), "--port", str(port))
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in result.output


def test_it_serves_publishes_and_stops(home: Path) -> None:
    with _running(home) as client:
        assert client.get("/health/ready").status_code == 200
        trust = read_certificates(
            client.get("/v1/trust.json").content,
            Pins.from_pem((home / "root-public.pem").read_bytes()),
        )
        assert {row.role for row in trust.certificates} == {
            Role.EXPORT,
            Role.CONFIGURATION,
            Role.PERMISSION,
            Role.ANNOUNCEMENTS,
            Role.AUDIT,
        }


def test_a_demonstration_lives_in_the_time_it_is_given(home: Path, tmp_path: Path) -> None:
    in_ten_days = time.time() + 10 * 86400
    file = ClockFile.create(tmp_path / "clock", in_ten_days)
    options = ("--clock-file", str(tmp_path / "clock"))
    with _running(home, *options, BLUEZONE_ENVIRONMENT="demo") as client:
        for _ in range(200):
            index = client.get("/v1/index.json")
            if index.status_code == 200 and file.horizon < math.inf:
                break
            time.sleep(0.05)
        assert in_ten_days < file.horizon <= in_ten_days + 900
    file.close()


def test_a_job_by_hand(home: Path) -> None:
    done = _bluezone("jobs", "run", "export", "--home", str(home))
    assert (done.exit_code, (home / "public" / "index.json").exists()) == (0, True)
    unknown = _bluezone("jobs", "run", "nothing", "--home", str(home))
    assert "there is no job 'nothing'; there are export" in unknown.output


def test_keys_turn(home: Path) -> None:
    pins = Pins.from_pem((home / "root-public.pem").read_bytes())

    def trust_ids() -> tuple[int, set[str]]:
        trust = read_certificates((home / "public" / "trust.json").read_bytes(), pins)
        return trust.sequence, {row.key_id for row in trust.certificates}

    def rotate(*options: str, root: Path = home / "root.pem") -> Result:
        return _bluezone("keys", "rotate", "--home", str(home), "--root", str(root), *options)

    _, first = trust_ids()
    assert rotate().exit_code == 0
    sequence, second = trust_ids()
    assert sequence == 2
    assert second > first
    assert _bluezone("jobs", "run", "export", "--home", str(home)).exit_code == 0
    assert rotate("--compromised").exit_code == 0
    sequence, third = trust_ids()
    assert sequence == 3
    assert not third & second
    assert {path.stem for path in (home / "secrets").glob("*.pem")} == third
    foreign = rotate(root=next((home / "secrets").glob("export-*.pem")))
    assert "is not the root key" in foreign.output
    (home / "root.pem").chmod(0o644)
    assert "others can read" in rotate().output


def test_a_configuration_is_checked_before_it_is_published(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "risk.json"
    file.write_text('{"nonsense": 1}')
    before = (home / "public" / "configuration.json").read_bytes()
    result = _bluezone("configuration", "publish", str(file), "--home", str(home))
    assert result.exit_code == 1
    assert "the configuration is refused" in result.output
    assert (home / "public" / "configuration.json").read_bytes() == before


def test_answers_leave_without_waiting_for_an_acknowledgement() -> None:
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        connection, _address = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


STATIONS = """commune,name,phone,address,unit
00004,Trạm y tế Ba Đình,024 3845 0000,,
00008,Trạm y tế Ngọc Hà,024 3845 0001,,002
"""


def test_stations_come_whole_or_not_at_all_and_go_out_again(home: Path, tmp_path: Path) -> None:
    file, copy = tmp_path / "stations.csv", tmp_path / "copy.csv"
    options = ("--home", str(home))
    given = ("staff", "add", "lan", "--unit", "00004", "--password-stdin", *options)
    assert _bluezone(*given, given=PASSWORD).exit_code == 0
    file.write_text(STATIONS.replace("00008", "8"), encoding="utf-8")
    refused = _bluezone("stations", "import", str(file), *options)
    assert refused.exit_code == 1
    assert "nothing was imported:\nline 3: there is no commune '8'" in refused.output
    assert not (home / "public" / "stations").exists()
    file.write_text(STATIONS, encoding="utf-8-sig")
    done = _bluezone("stations", "import", str(file), *options)
    assert done.exit_code == 0, done.output
    assert "2 health stations imported and published." in done.output
    assert "requests to 1 of the units" in done.output
    assert "002" in done.output
    assert len(list((home / "public" / "stations").glob("*.json"))) == 34
    assert "2 health stations" in _bluezone("stations", "export", str(copy), *options).output
    assert copy.read_text(encoding="utf-8") == STATIONS


NEWS = """{"title": {"vi": "Tin mới", "en": "News"}, "body": {"vi": "Một", "en": "One"}}"""


def test_news_is_shown_and_asked_about_before_it_goes_out(home: Path, tmp_path: Path) -> None:
    file, options = tmp_path / "news.json", ("--home", str(home))
    file.write_text("{}", encoding="utf-8")
    assert "the file must be" in _bluezone("news", "publish", str(file), *options).output
    file.write_text(NEWS.replace("News", ""), encoding="utf-8")
    refused = _bluezone("news", "publish", str(file), "--yes", *options)
    assert "a title and a text in both languages" in refused.output
    file.write_text(NEWS, encoding="utf-8")
    asked = _bluezone("news", "publish", str(file), *options, given="n\n")
    assert asked.exit_code == 1
    assert "Tin mới" in asked.output
    assert not (home / "public" / "news.json").exists()
    done = _bluezone("news", "publish", str(file), *options, given="y\n")
    assert done.exit_code == 0, done.output
    assert (home / "public" / "news.json").exists()
    name = done.output.split()[-1].rstrip(".")
    assert f"{name}  published  Tin mới" in _bluezone("news", "list", *options).output
    assert _bluezone("news", "withdraw", name, *options).exit_code == 0
    assert f"{name}  withdrawn" in _bluezone("news", "list", *options).output
    assert "There is nothing" in _bluezone("news", "withdraw", "x", *options).output


def test_an_older_installation_gets_the_key_that_it_lacks(home: Path, tmp_path: Path) -> None:
    """As made by a version that signed no announcements."""
    options = ("--home", str(home))
    trust_file = home / "public" / "trust.json"
    pins = Pins.from_pem((home / "root-public.pem").read_bytes())
    trust = read_certificates(trust_file.read_bytes(), pins)
    root = load_private_key(home / "root.pem")
    assert isinstance(root, ec.EllipticCurvePrivateKey)
    kept = [row for row in trust.certificates if row.role is not Role.ANNOUNCEMENTS]
    trust_file.write_bytes(certify(kept, trust.sequence, root))
    file = tmp_path / "news.json"
    file.write_text(NEWS, encoding="utf-8")
    refused = _bluezone("news", "publish", str(file), "--yes", *options)
    assert "run `bluezone server keys complete" in refused.output
    complete = ("keys", "complete", "--root", str(home / "root.pem"), *options)
    made = _bluezone(*complete)
    assert made.exit_code == 0, made.output
    assert "announcements-" in made.output
    completed = read_certificates(trust_file.read_bytes(), pins, trust.sequence + 1)
    assert set(kept) < set(completed.certificates)
    assert _bluezone("news", "publish", str(file), "--yes", *options).exit_code == 0
    assert "nothing was changed" in _bluezone(*complete).output
