"""A frame comes back as a whole, or some customers' rows of it, from the row groups in which they are."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.store import frames as storing
from billing_pipeline.store.frames import KEPT_BACK, FrameStore
from billing_pipeline.store.store_files import StoreError

NUMBERS = st.lists(st.text("0129aZé", max_size=3), max_size=30)


def frame_of(numbers: list[str]) -> pd.DataFrame:
    table = pa.table(
        {"customer_number": pa.array(sorted(numbers), pa.string()), "row": pa.array(range(len(numbers)))}
    )
    made: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return made


@given(NUMBERS, NUMBERS)
def test_some_customers_rows_are_those_of_the_frame(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[str], wanted: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(storing, "ROWS_PER_GROUP", 4)
        store, frame = FrameStore(str(tmp_path_factory.getbasetemp() / "store")), frame_of(numbers)
        sha256 = store.write("lines", "2026-10", frame)
        pd.testing.assert_frame_equal(store.read("lines", "2026-10", sha256), frame)
        own = frame[frame["customer_number"].isin(wanted)].reset_index(drop=True)
        pd.testing.assert_frame_equal(store.read("lines", "2026-10", sha256, wanted), own)


def test_only_the_row_groups_of_these_customers_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[int]] = []
    groups_with = storing._groups_with

    def noted(file: pq.ParquetFile, customers: Collection[str]) -> list[int]:
        read.append(groups_with(file, customers))
        return read[-1]

    monkeypatch.setattr(storing, "_groups_with", noted)
    monkeypatch.setattr(storing, "ROWS_PER_GROUP", 10)
    store = FrameStore(str(tmp_path))
    sha256 = store.write("lines", "2026-10", frame_of([f"{number:03}" for number in range(100)]))
    assert list(store.read("lines", "2026-10", sha256, ["012", "093", "zzz"])["row"]) == [12, 93]
    assert read == [[1, 9]]


@pytest.mark.parametrize("numbers", [[], ["2", "1", "2"]])
def test_what_is_told_row_by_row_is_json_that_comes_back_as_it_was(
    tmp_path: Path, numbers: list[str]
) -> None:
    store, frame = FrameStore(str(tmp_path)), frame_of(numbers)
    frame["net"] = pd.Series([None] * len(frame), dtype=pd.ArrowDtype(pa.int64()))
    sha256 = store.write(KEPT_BACK, "2026-10", frame)
    assert [path.name for path in tmp_path.rglob(f"{sha256}*")] == [f"{sha256}.json"]
    pd.testing.assert_frame_equal(store.read(KEPT_BACK, "2026-10", sha256), frame)
    assert [row["row"] for row in store.rows(KEPT_BACK, "2026-10", sha256)] == list(range(len(frame)))
    assert list(store.read(KEPT_BACK, "2026-10", sha256, ["1", "3"])["customer_number"]) == numbers[1:2]
    assert [of for _, of in store.stored("2026-10", [KEPT_BACK])] == [(KEPT_BACK, sha256)]
    assert store.is_intact(KEPT_BACK, "2026-10", sha256)
    (tmp_path / "frames" / KEPT_BACK / "2026-10" / f"{sha256}.json").write_bytes(b"{}")
    with pytest.raises(StoreError, match="is damaged"):
        store.rows(KEPT_BACK, "2026-10", sha256)
