"""Upload messages: one size, one digest for a set of keys."""

import os

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from bluezone.protocol.deployment import UPLOAD_BODY_BYTES, UPLOAD_KEY_SLOTS
from bluezone.protocol.keys import DiagnosisKey, ReportType, TemporaryExposureKey
from bluezone.protocol.upload import (
    KeyUpload,
    PermissionRequest,
    UploadedKey,
    encode_permission_request,
    encode_upload,
    upload_digest,
)

_keys = st.builds(
    TemporaryExposureKey,
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**32 - 1),
    st.integers(0, 144),
)
_chains = st.lists(_keys.map(DiagnosisKey), max_size=30, unique_by=lambda row: row.tek.key)
_slots = st.builds(
    UploadedKey,
    key=st.binary(min_size=16, max_size=16),
    rolling_start=st.integers(0, 2**32 - 1),
    rolling_period=st.integers(0, 144),
    days_since_onset=st.none() | st.integers(-15, 15),
)
_uploads = st.builds(
    KeyUpload,
    keys=st.lists(_slots, min_size=UPLOAD_KEY_SLOTS, max_size=UPLOAD_KEY_SLOTS),
    report_type=st.sampled_from(ReportType).map(int),
    permission_key_id=st.from_regex(r"[a-z0-9-]{1,60}", fullmatch=True),
    permission_prefix=st.binary(min_size=32, max_size=32),
    permission_signature=st.binary(min_size=256, max_size=256),
    chaff=st.booleans(),
)


@given(_chains.flatmap(lambda c: st.tuples(st.just(c), st.permutations(c))))
def test_the_digest_does_not_depend_on_the_order(
    orders: tuple[list[DiagnosisKey], list[DiagnosisKey]],
) -> None:
    chain, shuffled = orders
    assert upload_digest(shuffled) == upload_digest(chain)


@given(_chains, _chains)
def test_two_sets_of_keys_have_two_digests(
    one: list[DiagnosisKey], other: list[DiagnosisKey]
) -> None:
    same = {row.tek for row in one} == {row.tek for row in other}
    assert (upload_digest(one) == upload_digest(other)) == same


def test_the_digest_binds_every_field_a_signature_must_bind() -> None:
    tek = TemporaryExposureKey(b"k" * 16, 2_684_448, 100)
    digest = upload_digest([DiagnosisKey(tek)])
    for changed in (
        TemporaryExposureKey(b"l" * 16, 2_684_448, 100),
        TemporaryExposureKey(b"k" * 16, 2_684_449, 100),
        TemporaryExposureKey(b"k" * 16, 2_684_448, 101),
    ):
        assert upload_digest([DiagnosisKey(changed)]) != digest
    # What the phone learns only with the signature cannot be bound by it.
    assert upload_digest([DiagnosisKey(tek, ReportType.SELF_REPORT, 3)]) == digest


@given(_uploads)
def test_every_upload_has_one_size_and_is_read_back(upload: KeyUpload) -> None:
    body = encode_upload(upload)
    assert len(body) == UPLOAD_BODY_BYTES
    read = msgspec.json.decode(body, type=KeyUpload)
    assert msgspec.structs.replace(read, padding="") == upload


@given(
    st.from_regex(r"[0-9]{12}", fullmatch=True),
    st.dictionaries(
        st.from_regex(r"[a-z0-9-]{1,60}", fullmatch=True),
        st.binary(min_size=256, max_size=256),
        min_size=1,
        max_size=6,
    ),
    st.booleans(),
)
def test_every_permission_request_has_the_same_size(
    code: str, blinded: dict[str, bytes], chaff: bool
) -> None:
    request = PermissionRequest(code=code, blinded_messages=blinded, chaff=chaff)
    body = encode_permission_request(request)
    assert len(body) == UPLOAD_BODY_BYTES
    read = msgspec.json.decode(body, type=PermissionRequest)
    assert msgspec.structs.replace(read, padding="") == request


def _slot() -> UploadedKey:
    return UploadedKey(key=os.urandom(16), rolling_start=2_684_448, rolling_period=144)


@pytest.mark.parametrize("slots", [0, 29, 31])
def test_any_other_number_of_slots_is_refused(slots: int) -> None:
    upload = KeyUpload(
        keys=[_slot() for _ in range(slots)],
        report_type=1,
        permission_key_id="p1",
        permission_prefix=bytes(32),
        permission_signature=bytes(256),
    )
    with pytest.raises(ValueError, match=f"30 slots, not {slots}"):
        encode_upload(upload)


def test_what_does_not_fit_is_refused() -> None:
    request = PermissionRequest(
        code="1" * 12, blinded_messages={f"p{i}": bytes(256) for i in range(12)}
    )
    with pytest.raises(ValueError, match="more than 4096"):
        encode_permission_request(request)
