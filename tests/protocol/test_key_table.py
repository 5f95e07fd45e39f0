"""Keys in columns and as objects say the same."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import DiagnosisKey, ReportType, TemporaryExposureKey

_keys = st.builds(
    DiagnosisKey,
    st.builds(
        TemporaryExposureKey,
        st.binary(min_size=16, max_size=16),
        st.integers(0, 2**32 - 1),
        st.integers(0, 144),
    ),
    st.sampled_from(ReportType),
    st.none() | st.integers(-(2**15) + 1, 2**15 - 1),
)


@given(st.lists(_keys, max_size=20))
def test_columns_give_back_the_keys(keys: list[DiagnosisKey]) -> None:
    table = KeyTable.of(keys)
    assert len(table) == len(keys)
    assert list(table) == keys
    assert table.key.shape == (len(keys), 16)


@given(st.lists(_keys, min_size=1, max_size=20), st.data())
def test_taken_rows_are_those_rows(keys: list[DiagnosisKey], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(keys) - 1)))
    taken = KeyTable.of(keys).take(np.array(rows, np.intp))
    assert list(taken) == [keys[row] for row in rows]
    assert list(KeyTable.of(keys).take(slice(1, None))) == keys[1:]


@given(st.lists(st.lists(_keys, max_size=5), max_size=4))
def test_joined_tables_are_one_after_the_other(parts: list[list[DiagnosisKey]]) -> None:
    joined = KeyTable.concatenate([KeyTable.of(part) for part in parts])
    assert list(joined) == [key for part in parts for key in part]
