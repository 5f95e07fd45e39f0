"""Secrets in what gets printed by accident: a `repr` in a log, a debugger, a crash report."""

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bluezone.phone.identity import _Kept
from bluezone.phone.report import _Blinded, _Pending, _Permission
from bluezone.phone.sealing import DiaryKey, KeyPlace
from bluezone.protocol.beacon import Beacon
from bluezone.protocol.handover import (
    ContactDetails,
    HandedDiary,
    HandoverSecret,
    HandoverState,
)
from bluezone.protocol.invitation import InvitationSecret
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import DiagnosisKey, TemporaryExposureKey
from bluezone.protocol.phone_number import NumberConfirmation, NumberReceipt, NumberRequest
from bluezone.protocol.upload import (
    KeyUpload,
    PermissionAnswer,
    PermissionRequest,
    UploadedKey,
)
from bluezone.radio.interface import Sighting
from bluezone.server.config import Settings
from bluezone.server.diagnosis.routes import CodeAnswer
from bluezone.server.diagnosis.service import IssuedCode
from bluezone.server.messaging.routes import OutboxEntry
from bluezone.server.messaging.rules import Message, Purpose
from bluezone.server.people.routes import SessionAnswer, SignIn
from bluezone.server.tracing.inbox import DecisionRequest
from bluezone.server.tracing.service import Decision, Item
from bluezone.server.tracing.tables import Handover

TEXT = "marker-7315902846"
BYTES = TEXT.encode()[:16]
MARKS = ("marker", "7315902846", BYTES.hex(), str(list(BYTES))[1:12])
TEK = TemporaryExposureKey(BYTES, 2_686_896)
BLINDED = _Blinded(BYTES, BYTES, BYTES)
SLOT = UploadedKey(key=BYTES, rolling_start=0, rolling_period=0)


@pytest.mark.parametrize(
    "holder",
    [
        TEK,
        DiagnosisKey(TEK),
        KeyTable.of([DiagnosisKey(TEK)]),
        Beacon(BYTES, BYTES[:4]),
        Sighting(BYTES[:6], BYTES, 0.0, (-60,)),
        DiaryKey(BYTES, KeyPlace.FILE, made_now=True),
        SLOT,
        PermissionRequest(code=TEXT, blinded_messages={"k": BYTES}),
        PermissionAnswer(blind_signature=BYTES, key_id="k", report_type=1, symptom_onset=TEXT),
        KeyUpload(
            keys=[SLOT],
            report_type=1,
            permission_key_id="k",
            permission_prefix=BYTES,
            permission_signature=BYTES,
        ),
        _Kept(BYTES, 144),
        BLINDED,
        _Permission("k", BYTES, BYTES, 1, TEXT),
        _Pending(TEXT, [TEK], BYTES, {"k": BLINDED}, 0.0),
        IssuedCode(TEXT, 0),
        CodeAnswer(TEXT, 0),
        SignIn("lan", TEXT),
        SessionAnswer(TEXT, 0),
        ContactDetails(handover=BYTES * 2, name=TEXT),
        HandedDiary(handover=BYTES * 2, code=TEXT, keys=[SLOT], records=BYTES),
        HandoverSecret(BYTES),
        NumberRequest(TEXT),
        NumberConfirmation(TEXT, TEXT),
        NumberReceipt(TEXT, 0, BYTES),
        InvitationSecret(BYTES),
        Message(TEXT, TEXT, Purpose.NUMBER_CODE),
        OutboxEntry(to=TEXT, text=TEXT, purpose="p", state="s", created_at=0, sent_at=None),
        Item(Handover(), ContactDetails(handover=BYTES * 2, name=TEXT), ()),
        Decision(HandoverState.CLEARED, 0, "lan", {"vi": TEXT}),
        DecisionRequest(state=HandoverState.CLEARED, seen=0, words=TEXT),
        Settings(home=Path("/srv"), database=f"postgresql://a:{TEXT}@db/b", metrics_token=TEXT),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_nothing_that_holds_a_secret_prints_it(holder: Any) -> None:
    assert holds_the_mark(holder), "the test must have put the secret in"
    for text in (repr(holder), str(holder), f"{[holder]}"):
        assert not [mark for mark in MARKS if mark in text], text


def holds_the_mark(holder: Any) -> bool:
    if isinstance(holder, msgspec.Struct):
        return holds_the_mark(msgspec.structs.astuple(holder))
    if dataclasses.is_dataclass(holder):
        return any(holds_the_mark(getattr(holder, one.name)) for one in dataclasses.fields(holder))
    if isinstance(holder, dict):
        return holds_the_mark(list(holder.values()))
    if isinstance(holder, list | tuple):
        return any(map(holds_the_mark, holder))
    if isinstance(holder, np.ndarray):
        return BYTES in holder.tobytes()
    if isinstance(holder, bytes):
        return BYTES[:4] in holder
    return isinstance(holder, str) and TEXT in holder
