"""The health stations of a province, as phones fetch them (docs/protocol.md, "Announcements")."""

from fastapi import APIRouter, Request, Response

from bluezone.server.authorisation import public
from bluezone.server.downloads import published

router = APIRouter()


@public
async def stations(request: Request) -> Response:
    """`GET /v1/stations/PROVINCE.json`: Stations, signed."""
    return await published(request, f"stations/{request.path_params['province']}.json")


router.add_route("/v1/stations/{province}.json", stations)
