"""The 20 bytes on the air, and whatever else is on the air."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from bluezone.protocol.beacon import (
    MAX_LEGACY_ADVERTISEMENT_BYTES,
    Beacon,
    decode_advertisement,
    decode_metadata,
    encode_advertisement,
    encode_metadata,
    encode_offer,
    is_offer,
)

_payloads = st.binary(min_size=20, max_size=20)
_structures = st.builds(
    lambda kind, body: bytes([len(body) + 1, kind]) + body,
    st.integers(0, 255),
    st.binary(max_size=40),
)


def test_the_advertisement_byte_for_byte() -> None:
    payload = bytes(range(20))
    assert encode_advertisement(payload).hex() == "0303564e" + "1716564e" + payload.hex()


@given(_payloads)
def test_a_payload_goes_around(payload: bytes) -> None:
    advertisement = encode_advertisement(payload)
    assert len(advertisement) <= MAX_LEGACY_ADVERTISEMENT_BYTES - 3  # room for Flags
    assert decode_advertisement(advertisement) == payload
    assert Beacon.from_payload(payload).payload == payload


@given(_payloads, st.lists(_structures.filter(lambda s: s[1] != 0x16), max_size=4))
def test_our_structure_is_found_among_others(payload: bytes, others: list[bytes]) -> None:
    flags = b"\x02\x01\x06"
    data = flags + b"".join(others) + encode_advertisement(payload)[4:]
    assert decode_advertisement(data) == payload


@given(st.binary(max_size=64))
def test_strangers_bytes_never_raise(data: bytes) -> None:
    payload = decode_advertisement(data)
    assert payload is None or (len(payload) == 20 and payload in data)


@given(_payloads, st.integers(0, 27))
def test_a_truncated_advertisement_is_nobody(payload: bytes, length: int) -> None:
    assert decode_advertisement(encode_advertisement(payload)[:length]) is None


@given(_payloads)
def test_another_service_is_not_ours(payload: bytes) -> None:
    theirs = bytes.fromhex("03036ffd17166ffd") + payload  # 0xFD6F, Google/Apple
    assert decode_advertisement(theirs) is None


@pytest.mark.parametrize("length", [0, 19, 21])
def test_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        encode_advertisement(bytes(length))
    with pytest.raises(ValueError, match="20 bytes"):
        Beacon.from_payload(bytes(length))


@given(st.integers(-127, 127))
def test_power_goes_around(power: int) -> None:
    metadata = encode_metadata(power)
    assert len(metadata) == 4
    assert metadata[0] == 0x40
    assert decode_metadata(metadata) == power


def test_the_specifications_metadata() -> None:
    assert encode_metadata(8).hex() == "40080000"


@pytest.mark.parametrize("power", [-128, 128])
def test_an_impossible_power_is_refused(power: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        encode_metadata(power)


@given(st.binary(max_size=8))
def test_metadata_of_another_version_is_not_read(metadata: bytes) -> None:
    power = decode_metadata(metadata)
    assert (power is not None) == (len(metadata) == 4 and metadata[0] >> 6 == 1)


def test_an_offer_byte_for_byte() -> None:
    uuid = "67a607add1172fa1c44bf573564e0000"  # GATT_SERVICE_UUID, little-endian
    assert encode_offer().hex() == "020106" + "1107" + uuid
    assert len(encode_offer()) <= MAX_LEGACY_ADVERTISEMENT_BYTES
    assert is_offer(encode_offer())


@given(st.lists(_structures.filter(lambda s: s[1] not in (6, 7)), max_size=4), st.binary())
def test_an_offer_is_found_among_others_and_nowhere_else(others: list[bytes], junk: bytes) -> None:
    assert is_offer(b"".join(others) + encode_offer())
    assert not is_offer(b"".join(others))
    is_offer(junk)
    decode_advertisement(encode_offer())
    assert not is_offer(encode_advertisement(bytes(20)))


def test_an_offer_may_name_other_services_too() -> None:
    uuid = encode_offer()[5:]
    assert is_offer(b"\x21\x06" + bytes(16) + uuid)
    assert not is_offer(b"\x21\x06" + b"\x00" + uuid + bytes(15))  # not where a UUID begins
