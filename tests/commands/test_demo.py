"""`bluezone demo` as somebody types it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bluezone.commands.demo import command
from bluezone.town.service import start_service

_SMALL = ["--people", "6", "--days", "1", "--seed", "3", "--headless", "--json"]
_VARYING = ("wall_seconds", "command_seconds")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bluezone", "demo", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_same_seed_gives_the_same_verdict():
    verdicts = []
    for _ in range(2):
        done = run(*_SMALL)
        assert done.returncode == 0, done.stderr
        verdict = json.loads(done.stdout.splitlines()[-1])
        verdicts.append({key: value for key, value in verdict.items() if key not in _VARYING})
    assert verdicts[0] == verdicts[1]
    assert {
        "people",
        "days",
        "close_contacts",
        "warned_close",
        "missed",
        "false_alarms",
        "minutes_to_warning_median",
    } <= set(verdicts[0])
    assert "Dương tính:" in done.stdout
    assert "Tested positive:" in done.stdout


def test_stopped_by_the_system_it_takes_its_processes_along():
    town = subprocess.Popen(
        [sys.executable, "-m", "bluezone", "demo", "--people", "6", "--speed", "60", "--headless"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert town.stderr is not None
    with town.stderr:
        for line in town.stderr:
            if "days begin" in line:
                break
        children = Path(f"/proc/{town.pid}/task/{town.pid}/children").read_text().split()
        town.terminate()
        town.wait(timeout=30)
    assert len(children) == 2  # the service, and the phones of so few people
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(int(child), 0)


def test_a_town_of_one_is_refused():
    refused = CliRunner().invoke(command, ["--people", "1"])
    assert refused.exit_code == 2
    assert "--people" in refused.output


def test_a_port_that_is_taken_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = CliRunner().invoke(command, ["--port", port, "--no-open"])
    assert refused.exit_code == 1
    assert f"port {port}" in refused.output
    assert "Traceback" not in refused.output


def test_a_service_that_dies_is_said_in_one_sentence(monkeypatch):
    def start_and_kill(folder, now):
        service = start_service(folder, now)
        service.process.kill()
        return service

    monkeypatch.setattr("bluezone.commands.demo.start_service", start_and_kill)
    failed = CliRunner().invoke(command, ["--people", "3", "--days", "1", "--headless"])
    assert failed.exit_code == 1
    assert "the service ended with status -9" in failed.output
    assert "Traceback" not in failed.output
