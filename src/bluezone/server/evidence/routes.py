"""Nightly commitments, from the phone's side (docs/protocol.md, "Commitment")."""

from typing import Final

from fastapi import APIRouter, Request, Response

from bluezone.protocol.commitment import (
    MAX_COMMITMENT_BODY_BYTES,
    CommitmentAnswer,
    NightlyCommitment,
)
from bluezone.server.authorisation import public
from bluezone.server.bodies import BodyLimit, json_answer, read_json
from bluezone.server.context import Parts
from bluezone.server.evidence import service
from bluezone.server.limits import Budget, Rule

# One a day of each phone, within less than two hours; a mobile network has thousands behind one
# address. Together: what fifteen days of rows may fill (some 100 bytes each).
COMMITMENTS: Final = Budget(
    Rule("commitments by address", 3_000, 3600),
    Rule("commitments", 3_000_000, 3600),
    beyond=Rule("commitments by network", 10, 3600),
)
BODY_LIMITS: Final = {"/v1/commitments": BodyLimit(MAX_COMMITMENT_BODY_BYTES, 10.0)}

router = APIRouter()


@router.post("/v1/commitments")
@public
async def commitments(request: Request, services: Parts) -> Response:
    """NightlyCommitment → CommitmentAnswer, once it is durable; the same for a known one."""
    COMMITMENTS.spend(services.limits, request.client.host if request.client else None)
    message = await read_json(request, NightlyCommitment)
    async with services.database.transaction() as session:
        await service.receive_commitment(session, message.commitment, services.now)
    return json_answer(CommitmentAnswer())
