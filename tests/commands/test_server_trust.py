"""`bluezone server audit|keys rotate-…|retention` as an operator uses them."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bluezone.clock import WallClock
from bluezone.commands.server import command
from bluezone.server.app import open_services
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.config import Settings
from bluezone.server.people.scope import EVERYWHERE
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register


def _bluezone(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--home", str(home)])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with a person in it, and three entries of the audit."""
    home = tmp_path_factory.mktemp("trust") / "home"
    made = _bluezone(home, "init")
    assert made.exit_code == 0, made.output

    async def fill() -> None:
        services = await open_services(Settings(home=home), WallClock())
        keys = Register.open(services.settings.secrets_folder)
        async with services.database.transaction() as session:
            await register.add(
                session, keys, Details(name="Trần Thị Lan"), unit="vn.01", now=services.now
            )
            for number in range(3):
                await audit.record(
                    session,
                    services,
                    audit.SERVICE,
                    Action.ADD,
                    subject=f"person:{number}",
                    purpose=Purpose.CASE,
                )
        await services.database.dispose()

    asyncio.run(fill())
    return home


def _change(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "service.db")) as connection, connection:
        connection.execute(statement)


def test_the_audit_is_verified_anchored_and_found_broken(home: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    whole = _bluezone(home, "audit", "verify")
    assert whole.exit_code == 0, whole.output
    assert "chain vn: 3 entries, unbroken" in whole.output
    assert _bluezone(home, "audit", "anchor", str(kept)).exit_code == 0
    against = _bluezone(home, "audit", "verify", "--anchor", str(kept))
    assert f"are unbroken, and fit {kept}" in against.output

    (tmp_path / "none.json").write_text("{}")
    strange = _bluezone(home, "audit", "verify", "--anchor", str(tmp_path / "none.json"))
    assert strange.exit_code == 1
    assert "not an anchor" in strange.output

    _change(home, "UPDATE audit_entries SET detail = 'x' WHERE sequence = 2")
    broken = _bluezone(home, "audit", "verify")
    assert broken.exit_code == 1
    assert "chain vn: entry 2 was changed" in broken.output
    unsigned = _bluezone(home, "audit", "anchor", str(tmp_path / "new.json"))
    assert unsigned.exit_code == 1
    assert "nothing was signed" in unsigned.output
    assert not (tmp_path / "new.json").exists()
    _change(home, "UPDATE audit_entries SET detail = '' WHERE sequence = 2")
    assert _bluezone(home, "audit", "verify").exit_code == 0


def test_keys_are_replaced_while_everything_stays_readable(home: Path) -> None:
    secrets = home / "secrets"
    before = (secrets / "register-key").read_bytes()
    unknown = _bluezone(home, "keys", "rotate-sealing", "nonsense")
    assert unknown.exit_code == 1
    assert "there are register" in unknown.output
    done = _bluezone(home, "keys", "rotate-sealing", "register")
    assert done.exit_code == 0, done.output
    assert "register-key.old is kept for an hour" in done.output
    assert (secrets / "register-key").read_bytes() != before
    assert (secrets / "register-key.old").read_bytes() == before
    again = _bluezone(home, "keys", "rotate-sealing", "register")
    assert "the last rotation has not ended; it goes on" in again.output
    assert (secrets / "register-key.old").read_bytes() == before
    search = _bluezone(home, "keys", "rotate-search")
    assert search.exit_code == 0, search.output

    async def found() -> list[str]:
        services = await open_services(Settings(home=home), WallClock())
        keys = Register.open(secrets)
        async with services.database.read() as session:
            rows = await register.find(session, keys, EVERYWHERE, "tran thi lan")
            names = [keys.details(row).name for row in rows]
        await services.database.dispose()
        return names

    assert asyncio.run(found()) == ["Trần Thị Lan"]


def test_retention_is_reported_and_what_is_late_is_named(home: Path) -> None:
    fine = _bluezone(home, "retention", "report")
    assert fine.exit_code == 0, fine.output
    assert "persons (other): 1 rows, none too old (90 days after all was over)" in fine.output
    assert "SQLite's log: 0 rows, none too old (empty" in fine.output
    assert "Nothing is older than its rule allows." in fine.output
    _change(home, "UPDATE persons SET created_at = created_at - 100 * 86400")
    late = _bluezone(home, "retention", "report")
    assert late.exit_code == 1
    assert "persons (other): 1 rows, 1 TOO OLD" in late.output
    assert "older than the rule allows: persons (other)" in late.output
    assert _bluezone(home, "jobs", "run", "retention").exit_code == 0
    assert _bluezone(home, "retention", "report").exit_code == 0
