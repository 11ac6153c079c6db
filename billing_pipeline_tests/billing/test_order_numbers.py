"""Order numbers: unique by their format."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.billing.rules import check_order_number_format, order_number

GOOD = [
    "{prefix}{month}-{customer}{revision}",
    "{month}{customer}{revision}",
    "{customer}/{month}{revision}",
    "{customer}{revision}{month}",
    "{revision}{month}{customer}",
    "A{month}{revision}/{customer}",
]


@pytest.mark.parametrize("template", GOOD)
@given(
    st.sets(
        st.tuples(
            st.sampled_from(["2026-01", "2026-10", "2026-11", "2027-10"]),
            st.from_regex("[0-9]{1,6}", fullmatch=True),
            st.integers(1, 120),
        ),
        max_size=50,
    )
)
def test_a_format_that_is_accepted_never_gives_two_documents_one_number(
    template: str, documents: set[tuple[str, str, int]]
) -> None:
    check_order_number_format(template, "")
    numbers = Counter(order_number(template, "", *document) for document in documents)
    assert set(numbers.values()) <= {1}


@pytest.mark.parametrize(
    ("template", "prefix", "says"),
    [
        ("{month}-{customer}", "", "without {revision}"),
        ("{customer}{revision}", "", "without {month}"),
        ("{prefix}{month}{revision}", "RE", "without {customer}"),
        ("{month}{revision}{customer}", "", "a digit"),
        ("{month}{revision}1{customer}", "", "a digit"),
        ("{month}{revision}{prefix}{customer}", "", "a digit"),
        ("{month}{revision}{prefix}-{customer}", "7", "a digit"),
        ("{month}{customer}{customer}{revision}", "", "twice"),
        ("{month}{customer}{revision}", "RE", "{prefix}"),
        ("{month}{customer}{revision}{day}", "", "{day} is no placeholder"),
        ("{month!r}{customer}{revision}", "", "{month} is no placeholder"),
        ("{month:>9}{customer}{revision}", "", "{month} is no placeholder"),
        ("{month}{customer}{revision}{", "", "Single '{'"),
        ("{}{month}{customer}{revision}", "", "{} is no placeholder"),
    ],
)
def test_a_format_that_could_collide_or_cannot_be_read_is_refused(
    template: str, prefix: str, says: str
) -> None:
    with pytest.raises(ValueError) as caught:
        check_order_number_format(template, prefix)
    assert says in str(caught.value)


def test_the_first_revision_is_not_written_and_later_ones_are() -> None:
    template = "{prefix}{month}-{customer}{revision}"
    assert [order_number(template, "RE-", "2026-10", "é 7", revision) for revision in (1, 2, 13)] == [
        "RE-2026-10-é 7",
        "RE-2026-10-é 7-r2",
        "RE-2026-10-é 7-r13",
    ]
