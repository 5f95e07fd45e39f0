"""docs/protocol.md says what the code does: constants, roles, fields and vectors."""

import re
from pathlib import Path

import pytest

from bluezone.protocol import deployment, export_pb2
from bluezone.protocol.announcements import Announcement, HealthStation, News, Stations
from bluezone.protocol.claim import Claim, ClaimedDay
from bluezone.protocol.commitment import CommitmentAnswer, NightlyCommitment, OpenedLeaf
from bluezone.protocol.handover import (
    ContactDetails,
    ExposureDay,
    HandedDiary,
    HandoverAnswer,
    HandoverSecret,
)
from bluezone.protocol.index import Index
from bluezone.protocol.invitation import InvitationCount, InvitationSecret, Invited
from bluezone.protocol.phone_number import (
    NumberConfirmation,
    NumberReceipt,
    NumberRequest,
    NumberRequested,
)
from bluezone.protocol.trust import Role
from bluezone.protocol.upload import KeyUpload, PermissionAnswer, PermissionRequest, UploadedKey

_ROOT = Path(__file__).parent.parent.parent
_TEXT = (_ROOT / "docs" / "protocol.md").read_text()
_CONSTANTS = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (\S+) \|$", _TEXT, re.MULTILINE))


@pytest.mark.parametrize("name", [name for name in vars(deployment) if name.isupper()])
def test_every_deployment_constant_is_told_as_it_is(name: str) -> None:
    value = getattr(deployment, name)
    if isinstance(value, bytes):  # tags and the header are told where they are used
        assert value.decode().strip() in _TEXT
        return
    if name == "VIETNAM_UTC_OFFSET_SECONDS":
        assert f"UTC+{value // 3600}" in _TEXT
        return
    told = _CONSTANTS[name]
    assert told == str(value) or int(told, 0) == value


def test_every_role_is_told() -> None:
    assert all(f"`{role}`" in _TEXT for role in Role)


@pytest.mark.parametrize(
    "form",
    [
        PermissionRequest,
        PermissionAnswer,
        KeyUpload,
        UploadedKey,
        Index,
        ContactDetails,
        NightlyCommitment,
        CommitmentAnswer,
        OpenedLeaf,
        Claim,
        ClaimedDay,
        ExposureDay,
        HandedDiary,
        HandoverSecret,
        HandoverAnswer,
        NumberRequest,
        NumberRequested,
        NumberConfirmation,
        NumberReceipt,
        News,
        Announcement,
        Stations,
        HealthStation,
        Invited,
        InvitationSecret,
        InvitationCount,
    ],
)
def test_every_field_is_told(form: type) -> None:
    missing = [name for name in form.__struct_fields__ if f"`{name}`" not in _TEXT]
    assert not missing


def test_the_header_and_field_numbers_are_told() -> None:
    assert deployment.EXPORT_HEADER.hex(" ").upper() in _TEXT
    for message in (
        export_pb2.TemporaryExposureKeyExport,
        export_pb2.TemporaryExposureKey,
        export_pb2.SignatureInfo,
        export_pb2.TEKSignature,
    ):
        for field in message.DESCRIPTOR.fields:
            assert f"`{field.name}`" in _TEXT, field.name


def test_the_vectors_it_names_exist() -> None:
    named = set(re.findall(r"`(\w+\.json)`", _TEXT)) - {"trust.json"}
    assert named
    assert all((_ROOT / "tests" / "vectors" / name).exists() for name in named)


def test_its_links_lead_somewhere() -> None:
    headings = {
        line[3:].lower().replace(" ", "-") for line in _TEXT.splitlines() if line[:3] == "## "
    }
    for text, target in re.findall(r"\[([^\]]+)\]\(([^)]+)\)", _TEXT):
        found = target[1:] in headings if target[0] == "#" else (_ROOT / "docs" / target).exists()
        assert found, text
