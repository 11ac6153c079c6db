"""A month cut into slices of customers: which row is in which, and what is left of the month."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.billing.arrow import TEXT, array, frame_of
from billing_pipeline.billing.slices import Slicing, cut, stacked

IDS = st.lists(st.sampled_from("abcdef"), max_size=12)


def text(values: Sequence[str]) -> pa.Array:
    return pa.array(values, TEXT)


@given(portions=st.lists(IDS, max_size=4), rows=IDS)
def test_every_row_is_in_each_slice_that_has_its_id_once_and_in_order(
    portions: list[list[str]], rows: list[str]
) -> None:
    found = Slicing.of_portions([text(portion) for portion in portions]).places(text(rows))
    wanted = [[row for row, one in enumerate(rows) if one in portion] for portion in portions]
    assert [place.tolist() for place in found] == wanted


@given(rows=IDS)
def test_chunks_change_nothing(rows: list[str]) -> None:
    slicing = Slicing.of_portions([text("abc"), text("def")])
    chunked = pa.chunked_array([text(rows[:5]), text(rows[5:])])
    places = [[place.tolist() for place in slicing.places(ids)] for ids in (text(rows), chunked)]
    assert places[0] == places[1]


@pytest.mark.parametrize("let_go", [False, True])
def test_a_frame_is_cut_into_its_rows_and_empty_only_where_it_is_let_go(let_go: bool) -> None:
    frame = frame_of({"id": text("abcdef"), "number": pa.array(range(6))})
    places = Slicing.of_portions([text("fb"), text("a"), text("x"), text("cde")]).places(text("abcdef"))
    parts = list(cut(frame, places, let_go=let_go))
    assert [part["id"].tolist() for part in parts] == [["b", "f"], ["a"], [], ["c", "d", "e"]]
    assert [part["number"].tolist() for part in parts] == [[1, 5], [0], [], [2, 3, 4]]
    assert all(part.index.tolist() == list(range(len(part))) for part in parts)
    assert list(frame.columns) == ([] if let_go else ["id", "number"])


def test_a_stack_has_the_rows_of_all_frames_and_copies_none() -> None:
    frames = [frame_of({"id": text(ids)}) for ids in ("ab", "", "c")]
    assert stacked(frames)["id"].tolist() == ["a", "b", "c"]
    chunks = pa.array(stacked(frames)["id"]).chunks
    assert [addresses(chunk) for chunk in chunks] == [addresses(array(frame["id"])) for frame in frames]


def addresses(cells: pa.Array) -> list[int]:
    return [buffer.address for buffer in cells.buffers() if buffer is not None]
