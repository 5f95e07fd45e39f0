"""Both kernels against the specification's own function, bit for bit."""

import platform

import hypothesis.strategies as st
import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given

from bluezone.protocol import kernel
from bluezone.protocol.kernel import CANDIDATE, Prefilter, find_candidates, portable, x86
from bluezone.protocol.kernel.candidates import Search
from bluezone.protocol.keys import TemporaryExposureKey, rolling_proximity_identifiers

_KERNELS = ["portable", "x86"]
_keys = st.lists(
    st.builds(
        TemporaryExposureKey,
        st.binary(min_size=16, max_size=16),
        st.integers(0, 2**32 - 300),
        st.integers(0, 200),
    ),
    max_size=6,
)


def _kernel(name: str) -> Search:
    if name == "portable":
        return portable.search
    search = x86.compiled()
    if search is None:
        pytest.skip("this processor lacks AES or SHA instructions")
    return search


def _search(search: Search, keys: list[TemporaryExposureKey], seen: Prefilter) -> np.ndarray:
    return search(
        np.frombuffer(b"".join(key.key for key in keys), np.uint8).reshape(-1, 16),
        np.array([key.rolling_start for key in keys], np.uint32),
        np.array([key.rolling_period for key in keys], np.uint16),
        seen,
    )


def _identifiers(key: TemporaryExposureKey) -> list[bytes]:
    joined = rolling_proximity_identifiers(key)
    return [joined[at : at + 16] for at in range(0, len(joined), 16)]


def _head(identifier: bytes) -> int:
    return int.from_bytes(identifier[:8], "little")


def _in(number: int, seen: Prefilter) -> bool:
    position = number % seen.size
    return bool(seen.bits[position // 8] >> position % 8 & 1)


@pytest.mark.parametrize("name", _KERNELS)
@given(keys=_keys, picks=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 199)), max_size=30))
def test_a_kernel_finds_what_the_prefilter_lets_through_and_nothing_else(
    name: str, keys: list[TemporaryExposureKey], picks: list[tuple[int, int]]
) -> None:
    identifiers = [_identifiers(key) for key in keys]
    planted = [
        _head(identifiers[row][offset])
        for row, offset in picks
        if row < len(keys) and offset < len(identifiers[row])
    ]
    seen = Prefilter.of(np.array(planted, np.uint64))
    expected = [
        (identifier, row, key.rolling_start + offset)
        for row, key in enumerate(keys)
        for offset, identifier in enumerate(identifiers[row])
        if _in(_head(identifier), seen)
    ]
    found = _search(_kernel(name), keys, seen)
    assert found.dtype == CANDIDATE
    assert found.tolist() == expected
    assert len(expected) >= len(set(planted))


@pytest.mark.parametrize("name", _KERNELS)
@pytest.mark.parametrize("period", [0, 1, 7, 8, 9, 143, 144])
def test_the_first_and_the_last_interval_are_in_and_the_next_is_not(name: str, period: int) -> None:
    whole_day = TemporaryExposureKey(bytes(range(16)), 2_642_976, 145)
    everything = Prefilter.of(np.array([_head(rpi) for rpi in _identifiers(whole_day)], np.uint64))
    key = TemporaryExposureKey(whole_day.key, whole_day.rolling_start, period)
    found = _search(_kernel(name), [key], everything)
    assert found["interval"].tolist() == [2_642_976 + i for i in range(period)]


@pytest.mark.parametrize("name", _KERNELS)
def test_columns_need_not_be_contiguous(name: str) -> None:
    columns = np.zeros((9, 32), np.uint8)
    columns[:, :16] = np.arange(9)[:, None]
    everything = Prefilter(np.full(128, 255, np.uint8))
    starts = np.repeat(np.arange(9, dtype=np.uint32), 2)[::2]
    found = _kernel(name)(columns[:, :16], starts, np.full(9, 3, np.uint16), everything)
    expected = [
        rpi
        for start in range(9)
        for rpi in _identifiers(TemporaryExposureKey(bytes([start] * 16), start, 3))
    ]
    assert [rpi.tobytes() for rpi in found["rpi"]] == expected


def test_chunks_keep_their_row_numbers() -> None:
    rng = np.random.default_rng(5)
    keys = rng.integers(0, 256, (3000, 16), dtype=np.uint8)
    rows = [0, 1023, 1024, 2047, 2048, 2999]
    planted = [
        _head(_identifiers(TemporaryExposureKey(keys[row].tobytes(), 7, 2))[1]) for row in rows
    ]
    found = find_candidates(
        keys,
        np.full(3000, 7, np.uint32),
        np.full(3000, 2, np.uint16),
        Prefilter.of(np.array(planted, np.uint64)),
    )
    hits = found[np.isin(np.ascontiguousarray(found["rpi"]).view("<u8")[::2], planted)]
    assert hits["key_row"].tolist() == rows
    assert set(hits["interval"].tolist()) == {8}


def test_no_keys_have_no_identifiers() -> None:
    none = np.zeros((0, 16), np.uint8), np.zeros(0, np.uint32), np.zeros(0, np.uint16)
    assert len(find_candidates(*none, Prefilter.of(np.array([1], np.uint64)))) == 0


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=40),
    st.lists(st.integers(0, 2**64 - 1), max_size=40),
)
def test_the_prefilter_never_says_no_wrongly(members: list[int], others: list[int]) -> None:
    seen = Prefilter.of(np.array(members, np.uint64))
    asked = members + others
    passed = seen.rows_in(np.array(asked, np.uint64)).tolist()
    assert passed == [row for row, number in enumerate(asked) if _in(number, seen)]
    assert set(range(len(members))) <= set(passed)


def test_the_prefilter_is_large_enough_to_filter() -> None:
    rng = np.random.default_rng(6)
    seen = Prefilter.of(rng.integers(0, 2**64, 50_000, dtype=np.uint64))
    passed = seen.rows_in(rng.integers(0, 2**64, 100_000, dtype=np.uint64))
    assert len(passed) < 2_000


def test_the_compiler_waits_until_there_are_keys_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_keys_so_far", 0)
    assert kernel._search_for(5_000) is portable.search
    assert kernel._search_for(5_000) is portable.search
    assert kernel._search_for(5_000) is (x86.compiled() or portable.search)


def test_a_processor_without_the_instructions_gets_the_portable_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features = llvm.get_host_cpu_features()
    for missing in ("aes", "sha"):
        with monkeypatch.context() as patch:
            patch.setattr(llvm, "get_host_cpu_features", lambda m=missing: features | {m: False})
            assert x86.compiled.__wrapped__() is None
    for question, answer in (("machine", "aarch64"), ("system", "Windows")):
        with monkeypatch.context() as patch:
            patch.setattr(platform, question, lambda a=answer: a)
            assert x86.compiled.__wrapped__() is None
