"""For the operator's machines: is it alive, is it ready, what does it count?"""

import hmac

from fastapi import APIRouter, Request, Response
from sqlalchemy import text

from bluezone.protocol.trust import Role
from bluezone.server.authorisation import public
from bluezone.server.context import Parts
from bluezone.server.errors import Refused
from bluezone.server.forms import is_loopback
from bluezone.web.catalogue import _

router = APIRouter()


@router.get("/health/live")
@public
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.get("/health/ready")
@public
async def ready(services: Parts) -> dict[str, str]:
    """The database answers and there are valid keys to sign with; else 503."""
    async with services.database.read() as session:
        await session.execute(text("SELECT 1"))
    for role in (Role.EXPORT, Role.CONFIGURATION):
        services.keys.signing(role, services.now)
    return {"status": "ready"}


@router.get("/metrics")
@public
async def metrics(request: Request, services: Parts) -> Response:
    """Prometheus text, for this machine itself or the bearer of the metrics token."""
    token = services.settings.metrics_token
    if token:
        given = request.headers.get("authorization", "")
        permitted = hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    else:
        permitted = is_loopback(request.client.host if request.client else None)
    if not permitted:
        raise Refused(403, "not-allowed", _("Only the operator of this service may read this."))
    return Response(services.metrics.text(), media_type="text/plain; version=0.0.4")
