"""Published files: what a phone fetches, cacheable and unchanged."""

import httpx

from bluezone.clock import ManualClock
from bluezone.protocol.configuration import DEFAULT_CONFIGURATION, read_configuration
from bluezone.protocol.trust import read_certificates
from bluezone.server.context import Services
from bluezone.server.keys import load_pins


async def test_a_phone_can_check_what_a_new_installation_publishes(
    client: httpx.AsyncClient, services: Services, clock: ManualClock
) -> None:
    trust = read_certificates(
        (await client.get("/v1/trust.json")).content, load_pins(services.settings.home)
    )
    document = (await client.get("/v1/configuration.json")).content
    found = read_configuration(document, trust, clock.now())
    assert found.version == 1
    assert found.attenuation_weights == DEFAULT_CONFIGURATION.attenuation_weights


async def test_an_unchanged_file_is_not_sent_again(
    client: httpx.AsyncClient, services: Services
) -> None:
    await services.objects.put("exports/1611144000-1-abc.zip", b"zip")
    first = await client.get("/v1/exports/1611144000-1-abc.zip")
    assert first.content == b"zip"
    assert first.headers["content-type"] == "application/zip"
    assert "immutable" in first.headers["cache-control"]
    tag = {"If-None-Match": first.headers["etag"]}
    again = await client.get("/v1/exports/1611144000-1-abc.zip", headers=tag)
    assert (again.status_code, again.content) == (304, b"")


async def test_a_changed_file_is_sent_soon(client: httpx.AsyncClient, services: Services) -> None:
    await services.objects.put("index.json", b"old")
    first = await client.get("/v1/index.json")
    assert first.headers["cache-control"] == "public, max-age=60"
    await services.objects.put("index.json", b"new")
    second = await client.get("/v1/index.json", headers={"If-None-Match": first.headers["etag"]})
    assert second.content == b"new"
