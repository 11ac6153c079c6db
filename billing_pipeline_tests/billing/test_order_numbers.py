"""Order numbers: unique by their format."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.billing.rules import check_order_number_format, order_number
from billing_pipeline.delivery.files.orphans import key_of
from billing_pipeline.easybill.document import file_name

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


@given(
    st.sets(
        st.tuples(
            st.from_regex(r"[0-9]{1,2}((-|_|%2D|%5F|%252D)r[0-9]{1,2}){0,3}", fullmatch=True),
            st.integers(1, 12),
        ),
        max_size=60,
    )
)
def test_a_customer_number_that_looks_like_a_revision_takes_nobodys_order_or_file(
    documents: set[tuple[str, int]],
) -> None:
    template = "{prefix}{month}-{customer}{revision}"
    orders = Counter(order_number(template, "", "2026-10", *document) for document in documents)
    files = Counter(file_name("2026-10", *document) for document in documents)
    assert set(orders.values()) <= {1}
    assert set(files.values()) <= {1}
    assert {key_of(name) for name in files} == {("2026-10", *document) for document in documents}


@pytest.mark.parametrize(
    ("customer_number", "order", "file"),
    [
        ("10023-r2", "2026-10-10023%2Dr2", "easybill_2026-10_10023%2Dr2.csv"),
        ("10023_r2", "2026-10-10023%5Fr2", "easybill_2026-10_10023%5Fr2.csv"),
        ("10023-r1", "2026-10-10023-r1", "easybill_2026-10_10023-r1.csv"),
        ("10023-r2x", "2026-10-10023-r2x", "easybill_2026-10_10023-r2x.csv"),
        ("A/7~r2", "2026-10-A/7~r2", "easybill_2026-10_A%2F7%7Er2.csv"),
    ],
)
def test_only_a_number_that_ends_like_a_revision_is_encoded(
    customer_number: str, order: str, file: str
) -> None:
    template = "{prefix}{month}-{customer}{revision}"
    assert order_number(template, "", "2026-10", customer_number, 1) == order
    assert order_number(template, "", "2026-10", customer_number, 3) == f"{order}-r3"
    assert file_name("2026-10", customer_number) == file
    assert file_name("2026-10", customer_number, 3) == file.replace(".csv", "_r3.csv")


def test_the_first_revision_is_not_written_and_later_ones_are() -> None:
    template = "{prefix}{month}-{customer}{revision}"
    assert [order_number(template, "RE-", "2026-10", "é 7", revision) for revision in (1, 2, 13)] == [
        "RE-2026-10-é 7",
        "RE-2026-10-é 7-r2",
        "RE-2026-10-é 7-r13",
    ]
