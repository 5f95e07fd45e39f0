"""The published files, as phones fetch them: signed, cacheable, the same for everyone."""

import hashlib

from fastapi import APIRouter, Request, Response

from bluezone.server.authorisation import public
from bluezone.server.context import services_of
from bluezone.server.errors import Refused
from bluezone.server.keys import TRUST_OBJECT
from bluezone.storage.objects import ObjectMissing
from bluezone.web.catalogue import _

CONFIGURATION_OBJECT = "configuration.json"
INDEX_OBJECT = "index.json"
EXPORTS = "exports/"  # objects below it are key files
_JSON = "application/json"
# Phones ask at moments spread over hours: a minute in a cache costs nothing, and takes
# nearly every request off the service.
_CHANGING = "public, max-age=60"
_IMMUTABLE = "public, max-age=1209600, immutable"  # a key file lives 14 days

router = APIRouter()


@public
async def trust(request: Request) -> Response:
    return await published(request, TRUST_OBJECT)


@public
async def configuration(request: Request) -> Response:
    return await published(request, CONFIGURATION_OBJECT)


@public
async def index(request: Request) -> Response:
    return await published(request, INDEX_OBJECT)


@public
async def export(request: Request) -> Response:
    name = request.path_params["name"]
    return await published(request, f"exports/{name}", "application/zip", _IMMUTABLE)


# Plain routes: every phone asks every hour, and there is nothing to validate.
router.add_route("/v1/trust.json", trust)
router.add_route("/v1/configuration.json", configuration)
router.add_route("/v1/index.json", index)
router.add_route("/v1/exports/{name}", export)


async def published(
    request: Request, name: str, media_type: str = _JSON, caching: str = _CHANGING
) -> Response:
    """The object of this name, or 304 to whoever has it. Raises Refused (404)."""
    try:
        data = await services_of(request).objects.get(name)
    except (ObjectMissing, ValueError):
        raise Refused(404, "not-found", _("There is nothing at this address.")) from None
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": caching}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=media_type)
