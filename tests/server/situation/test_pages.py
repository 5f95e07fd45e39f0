"""The pages of the situation on both stores: what they show, and to whom they show nothing."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select

from bluezone.server.audit.tables import AuditEntry
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.situation import svg
from tests.server.conftest import BA_DINH, LIEN_CHIEU, NGOC_HA
from tests.server.situation.conftest import Reader
from tests.server.situation.outbreak import Outbreak

SignIn = Callable[..., Awaitable[Reader]]
PERIOD = "since=2020-11-01&until=2021-01-20"
PAGES = ("", "/chains", "/map", "/delays", "/coverage")


async def test_chains_show_everybody_of_the_scope_and_no_name(
    services: Services, outbreak: Outbreak, reader: SignIn
) -> None:
    lan = await reader("lan", unit="vn")
    text = (await lan.get(f"/staff/situation/chains?{PERIOD}")).text
    for person in outbreak.people:
        assert f'href="/staff/people/{person}"' in text
    assert all(reference in text for reference in outbreak.reference_of.values())
    assert not any(name in text for name in outbreak.name_of.values())
    async with services.database.read() as session:
        assert await session.scalar(select(AuditEntry.sequence)) is None


async def test_names_need_a_purpose_and_are_written_down(
    services: Services, outbreak: Outbreak, reader: SignIn
) -> None:
    lan = await reader("lan", unit=BA_DINH)
    page = f"/staff/situation/chains?{PERIOD}"
    await lan.get(page)
    refused = await lan.post(page, 400)
    assert 'role="alert"' in refused.text
    text = (await lan.post(page, purpose="tracing")).text
    mine = [one for one in outbreak.people if outbreak.unit_of[one] == BA_DINH]
    assert outbreak.name_of[mine[0]].split()[-1] in text
    others = {outbreak.name_of[one] for one in outbreak.people if one not in mine}
    assert not any(name in text for name in others - {outbreak.name_of[one] for one in mine})
    async with services.database.read() as session:
        entry = (await session.scalars(select(AuditEntry))).one()
    assert (entry.action, entry.purpose) == ("list", "tracing")


async def test_people_of_other_units_are_anonymous(outbreak: Outbreak, reader: SignIn) -> None:
    hoa = await reader("hoa", unit=NGOC_HA)
    text = (await hoa.get(f"/staff/situation/chains?{PERIOD}")).text
    assert "người của đơn vị khác" in text
    for person in outbreak.people:
        assert (f'/staff/people/{person}"' in text) <= (outbreak.unit_of[person] == NGOC_HA)
    elsewhere = [one for one in outbreak.reference_of if outbreak.unit_of[one] != NGOC_HA]
    assert not any(outbreak.reference_of[one] in text for one in elsewhere)


async def test_a_neighbour_sees_nothing(outbreak: Outbreak, reader: SignIn) -> None:
    """Nobody of the outbreak lives in that province."""
    other = await reader("xa", unit="vn.79")
    for path in PAGES:
        text = (await other.get(f"/staff/situation{path}?{PERIOD}")).text
        assert not any(reference in text for reference in outbreak.reference_of.values())
        assert "/staff/people/" not in text
        for number in range(2, 30):  # no bar, no circle, no share
            assert f": {number}<" not in text
        await other.get(f"/staff/situation{path}?unit={BA_DINH}&{PERIOD}", 404)
        await other.get(f"/staff/situation{path}?unit=no-such-unit&{PERIOD}", 404)


async def test_a_unit_counts_only_its_own(outbreak: Outbreak, reader: SignIn) -> None:
    lan = await reader("lan", unit="vn.01.001")
    text = (await lan.get(f"/staff/situation/map?unit=001&{PERIOD}")).text
    assert "/staff/situation/chains?unit=00004" in text
    lines = (await lan.get(f"/staff/situation/map/file.csv?{PERIOD}")).text.splitlines()
    counted = {line.rpartition(",")[0]: int(line.rpartition(",")[2]) for line in lines[1:]}
    cases = await _counted(lan, "")
    assert sum(list(counted.values())[:-1]) == list(counted.values())[-1] == cases
    of_commune = await _counted(lan, "&unit=00004")
    assert 0 < of_commune < cases


async def _counted(reader: Reader, more: str) -> int:
    """Cases of the chains, as the file lists them, without discarded ones and other units."""
    lines = (await reader.get(f"/staff/situation/map/file.csv?{PERIOD}{more}")).text.splitlines()
    return int(lines[-1].rpartition(",")[2])


async def test_files_carry_marks_and_are_written_down(
    services: Services, outbreak: Outbreak, reader: SignIn
) -> None:
    lan = await reader("lan", unit="vn")
    drawn = await lan.get(f"/staff/situation/curve-report/file.svg?{PERIOD}")
    assert "* ít hơn 5" in drawn.text
    assert "* ít hơn 5" not in (await lan.get(f"/staff/situation?{PERIOD}")).text
    pixels = await lan.get(f"/staff/situation/chains/file.png?{PERIOD}")
    assert pixels.content.startswith(b"\x89PNG")
    csv = (await lan.get(f"/staff/situation/chains/file.csv?{PERIOD}")).text
    assert len(csv.splitlines()) == 1 + len(outbreak.people)
    await lan.get(f"/staff/situation/nothing/file.csv?{PERIOD}", 404)
    await lan.get(f"/staff/situation/map/file.exe?{PERIOD}", 404)
    async with services.database.read() as session:
        entries = list(await session.scalars(select(AuditEntry)))
    assert [entry.action for entry in entries] == ["export"] * 3


def test_a_picture_that_would_fill_the_memory_is_no_png() -> None:
    """The chains of a province over a year are ten gigabytes of pixels, and one click away."""
    for width, height in ((11_000, 52_000), (1_500, 52_000)):
        with pytest.raises(Refused) as refused:
            svg.png(svg.document(width, height, "", title="x"))
        assert refused.value.error == "picture-too-large"
    drawn = svg.png(svg.document(2_000, 10_000, "", title="x"))  # less fine than others
    width, height = (int.from_bytes(drawn[at : at + 4]) for at in (16, 20))
    assert 20_000_000 < width * height < svg.MOST_PIXELS + 10_000


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_wrong_period_is_said_and_nothing_typed_is_lost(reader: SignIn) -> None:
    lan = await reader("lan", unit=LIEN_CHIEU)
    for since, until in (
        ("2021-01-20", "2021-01-01"),
        ("soon", ""),
        ("2019-01-01", "2021-01-01"),
        ("", "0001-01-01"),  # there is no day before it
        ("9999-12-01", "9999-12-31"),
    ):
        text = (await lan.get(f"/staff/situation?since={since}&until={until}", 400)).text
        assert 'role="alert"' in text
        assert f'value="{since}"' in text
