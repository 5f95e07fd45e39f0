"""The list of health stations: whole or not at all, and what phones are given of it."""

import httpx
import pytest

from bluezone.clock import ManualClock
from bluezone.protocol.announcements import Stations, read_announcement
from bluezone.protocol.envelope import EnvelopeError
from bluezone.protocol.trust import Trust, read_certificates
from bluezone.server.context import Services
from bluezone.server.keys import load_pins
from bluezone.server.places.rules import (
    StationListError,
    StationRow,
    read_stations,
    write_stations,
)
from bluezone.server.places.service import replace_stations, stations, unit_of_commune
from bluezone.web.places import communes, provinces
from tests.server.conftest import RunJob

HEADER = "commune,name,phone,address,unit\n"
GOOD = '00004,Trạm y tế Ba Đình,024 3845 0000,"1 Ngọc Hà, Ba Đình",001\n'
ROW = StationRow("00004", "Trạm y tế Ba Đình", "024 3845 0000", "1 Ngọc Hà, Ba Đình", "001")


def test_a_list_is_read_in_any_order_of_columns_with_or_without_a_mark() -> None:
    assert read_stations((HEADER + GOOD).encode()) == [ROW]
    assert read_stations((HEADER + GOOD).encode("utf-8-sig")) == [ROW]
    turned = 'Unit,PHONE,name,address,commune\r\n001,1,"Hai\tdòng",,00008\r\n\r\n'
    with pytest.raises(StationListError, match="line 2: phone is no telephone number"):
        read_stations(turned.encode())
    turned = "Unit,PHONE,name,address,commune\r\n001,115,Trạm,,00008\r\n\r\n"
    assert read_stations(turned.encode()) == [StationRow("00008", "Trạm", "115", "", "001")]


def test_what_is_written_is_read_again() -> None:
    assert read_stations(write_stations([ROW])) == [ROW]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"", "line 1: the columns must be commune, name"),
        (b"commune,name,phone,address\n", "line 1: the columns must be"),
        (b"commune,name,phone,address,unit,unit\n", "line 1: the columns must be"),
        (HEADER.encode(), "has no station"),
        ((HEADER + "00004,a,115,\n").encode(), "line 2: 4 values for 5 columns"),
        ((HEADER + "4,a,115,,01\n").encode(), "line 2: there is no commune '4'"),
        ((HEADER + "00004,,115,,01\n").encode(), "line 2: name is empty"),
        ((HEADER + "00004,a,call me,,01\n").encode(), "line 2: phone is no telephone"),
        ((HEADER + f"00004,{'a' * 201},115,,01\n").encode(), "line 2: name has more than 200"),
        ((HEADER + f"00004,a,115,{'a' * 301},01\n").encode(), "line 2: address has more"),
        ((HEADER + "00004,a\0b,115,,01\n").encode(), "line 2"),
        ((HEADER + "00004,a,115,,U 1\n").encode(), "line 2: there is no unit 'U 1'"),
        ((HEADER + GOOD + GOOD).encode(), "line 3: commune 00004 is on line 2 already"),
        ((HEADER + '00004,"a,115,,01\n').encode(), "not CSV"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(content: bytes, told: str) -> None:
    with pytest.raises(StationListError, match=told):
        read_stations(content)


def test_all_bad_lines_are_said() -> None:
    text = HEADER + "00000,a,115,,01\n" + GOOD + "00008,a,,,01\n"
    with pytest.raises(StationListError) as refused:
        read_stations(text.encode())
    assert [fault.split(":")[0] for fault in refused.value.faults] == ["line 2", "line 4"]


def trust_of(services: Services) -> Trust:
    document = (services.settings.objects_folder / "trust.json").read_bytes()
    return read_certificates(document, load_pins(services.settings.home))


async def published(
    client: httpx.AsyncClient, services: Services, province: str, last: int = 0
) -> Stations:
    response = await client.get(f"/v1/stations/{province}.json")
    assert response.status_code == 200
    return read_announcement(
        response.content, Stations, trust_of(services), services.now, last_sequence=last
    )


async def put(services: Services, rows: list[StationRow]) -> None:
    async with services.database.transaction() as session:
        await replace_stations(session, services, rows)


async def test_phones_get_a_signed_list_of_their_province(
    client: httpx.AsyncClient, services: Services, clock: ManualClock
) -> None:
    assert (await client.get("/v1/stations/01.json")).status_code == 404
    await put(services, [ROW])
    hanoi = await published(client, services, "01")
    assert (hanoi.province, hanoi.issued_at) == ("01", services.now)
    assert hanoi.stations == (ROW.published(),)
    assert "unit" not in (await client.get("/v1/stations/01.json")).text  # nobody else's business
    assert (await published(client, services, "79")).stations == ()
    response = await client.get("/v1/stations/01.json")
    same = {"If-None-Match": response.headers["etag"]}
    assert (await client.get("/v1/stations/01.json", headers=same)).status_code == 304
    for name in ("00", "1", "x", "..%2ftrust", "01.json"):
        assert (await client.get(f"/v1/stations/{name}.json")).status_code == 404

    # A new list takes the place of the last one: a number off the list is nowhere.
    saigon = communes("79")[0].code
    await put(services, [StationRow(saigon, "Trạm", "115", "", "79")])
    assert (await published(client, services, "01", hanoi.sequence + 1)).stations == ()
    assert len((await published(client, services, "79")).stations) == 1
    async with services.database.read() as session:
        assert await unit_of_commune(session, saigon) == "vn.79"
        assert await unit_of_commune(session, "00004") == "vn.01.001.00004"
        assert await unit_of_commune(session, "99999") == "vn"


async def test_the_whole_country_fits(client: httpx.AsyncClient, services: Services) -> None:
    rows = [
        StationRow(one.code, f"Trạm y tế {one.name}", "024 3845 0000", "", f"U-{one.code}")
        for each in provinces()
        for one in communes(each.code)
    ]
    await put(services, rows)
    for province in provinces():
        found = await published(client, services, province.code)
        assert len(found.stations) == len(communes(province.code))
    async with services.database.read() as session:
        assert len(await stations(session)) == 3321


async def test_a_renewal_repairs_what_is_gone_and_leaves_the_rest(
    client: httpx.AsyncClient, services: Services, run_job: RunJob, clock: ManualClock
) -> None:
    await run_job("renew-stations")  # nothing to publish yet
    assert (await client.get("/v1/stations/01.json")).status_code == 404
    await put(services, [ROW])
    before = (await client.get("/v1/stations/01.json")).content
    clock.advance(86400)
    await run_job("renew-stations")
    assert (await client.get("/v1/stations/01.json")).content == before
    await services.objects.delete("stations/79.json")
    await services.objects.put("stations/01.json", b"damaged")
    await run_job("renew-stations")
    assert (await published(client, services, "79")).stations == ()
    assert (await published(client, services, "01")).stations == (ROW.published(),)


async def test_an_older_edition_is_refused(client: httpx.AsyncClient, services: Services) -> None:
    await put(services, [ROW])
    old = (await client.get("/v1/stations/01.json")).content
    await put(services, [])
    new = await published(client, services, "01")
    with pytest.raises(EnvelopeError, match="already accepted"):
        read_announcement(
            old, Stations, trust_of(services), services.now, last_sequence=new.sequence
        )
