"""The published files, as phones fetch them: signed, cacheable, the same for everyone."""

import hashlib

from fastapi import APIRouter, Request, Response

from bluezone.server.authorisation import public
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.keys import TRUST_OBJECT
from bluezone.storage.objects import ObjectMissing
from bluezone.web.catalogue import _

CONFIGURATION_OBJECT = "configuration.json"
INDEX_OBJECT = "index.json"
_JSON = "application/json"
# Phones ask at moments spread over hours: a minute in a cache costs nothing, and takes
# nearly every request off the service.
_CHANGING = "public, max-age=60"
_IMMUTABLE = "public, max-age=1209600, immutable"  # a key file lives 14 days

router = APIRouter()


@router.get("/v1/trust.json")
@public
async def trust(request: Request, services: Parts) -> Response:
    return await _published(request, services, TRUST_OBJECT, _JSON, _CHANGING)


@router.get("/v1/configuration.json")
@public
async def configuration(request: Request, services: Parts) -> Response:
    return await _published(request, services, CONFIGURATION_OBJECT, _JSON, _CHANGING)


@router.get("/v1/index.json")
@public
async def index(request: Request, services: Parts) -> Response:
    return await _published(request, services, INDEX_OBJECT, _JSON, _CHANGING)


@router.get("/v1/exports/{name}")
@public
async def export(request: Request, services: Parts, name: str) -> Response:
    return await _published(request, services, f"exports/{name}", "application/zip", _IMMUTABLE)


async def _published(
    request: Request, services: Services, name: str, media_type: str, caching: str
) -> Response:
    try:
        data = await services.objects.get(name)
    except (ObjectMissing, ValueError):
        raise Refused(404, "not-found", _("There is nothing at this address.")) from None
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": caching}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=media_type)
