"""Columns are looked at where they are, and joined to the letter."""

import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.billing.arrow import TEXT, array, distinct, frame_of
from billing_pipeline.billing.slices import concatenated

LARGE = 1_000_000


def test_a_column_in_one_chunk_is_not_copied_to_be_looked_at() -> None:
    texts = pa.array(["Wartung"] * LARGE, TEXT)
    frame = frame_of({"title": texts})

    before = pa.total_allocated_bytes()
    seen = array(frame["title"])

    assert seen.equals(texts)
    assert pa.total_allocated_bytes() == before


def test_a_column_in_several_chunks_is_one_array() -> None:
    column = pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([["a"], [], ["b", None]], TEXT)))

    assert array(column).to_pylist() == ["a", "b", None]


def test_distinct_values_are_plain_ones_with_none_for_null() -> None:
    assert distinct(frame_of({"unit": pa.array(["h", None, "h"], TEXT)})["unit"]) == {"h", None}


@given(
    parts=st.lists(
        st.tuples(
            st.lists(st.one_of(st.text(max_size=5), st.none()), max_size=6),
            st.integers(0, 6),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_joined_frames_have_every_cell_in_order_wherever_a_part_begins(
    parts: list[tuple[list[str | None], int]],
) -> None:
    frames = [
        frame_of(
            {"text": pa.array(["cut off", *texts], TEXT), "number": pa.array(range(len(texts) + 1))}
        ).iloc[1 + start :]
        for texts, start in parts
    ]
    expected = [text for texts, start in parts for text in texts[start:]]
    numbers = [number for texts, start in parts for number in range(1 + start, len(texts) + 1)]

    joined = concatenated(frames)

    assert array(joined["text"]).to_pylist() == expected
    assert array(joined["number"]).to_pylist() == numbers
    assert array(joined["text"]).validate(full=True) is None
