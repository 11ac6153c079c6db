"""A line explained, back to its OMS rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from billing_pipeline.billing.adjustments import Adjustment
from billing_pipeline.billing.bill import BilledMonth
from billing_pipeline.billing.explain_line import Reader, explain_line
from billing_pipeline_tests.support.billing import MONTH, bill, ledger, lines_of
from billing_pipeline_tests.support.frames import TIMEZONE, Row, customer, extract, fee, service, task


def explained(
    billed: BilledMonth, position: int, *rows: Row, tasks: list[Row] | None = None, language: str = "en"
) -> list[str]:
    line = lines_of(billed)[position - 1]
    sources = [
        {"source_id": name, "fingerprint": fingerprint}
        for name, fingerprint in zip(line.source_ids, line.source_fingerprints, strict=True)
    ]
    return explain_line(
        vars(line) | {"sources": sources},
        extract(*rows, tasks=tasks or []),
        Reader(language, TIMEZONE),
        month=MONTH,
        currency=line.currency,
        price_basis=line.price_basis,
    )


def steps(*rows: Row, position: int = 1, tasks: list[Row] | None = None, **others: Any) -> list[str]:
    return explained(bill(*rows, tasks=tasks or [], **others), position, *rows, tasks=tasks)


def test_a_folded_service_is_explained_from_its_row_to_the_file() -> None:
    assert steps(service(quantity="1000", unit_price_net="0.10")) == [
        "line 1: service, 119.00 EUR gross",
        "from service S-1, completed 2026-10-14 11:30:00 CEST: 1,000 Stück at 0.10 EUR net, 19 % VAT",
        "net: 1,000 × 0.10 EUR = 100.00 EUR",
        "gross: 100.00 EUR × 1.19 = 119.00 EUR; VAT at 19 % is the rest, 19.00 EUR",
        "file: 1,000 × 0.12 EUR = 120.00 EUR misses 119.00 EUR, so the row is folded: 1 × 119.00 EUR, "
        "and the title says quantity and unit price",
    ]


def test_a_line_is_explained_in_the_numbers_of_the_readers_language() -> None:
    row = service(quantity="1000", unit_price_net="1.10")
    told = explained(bill(row), 1, row, language="de")
    assert told[1].endswith(": 1.000 Stück at 1,10 EUR net, 19 % VAT")
    assert told[2] == "net: 1.000 × 1,10 EUR = 1.100,00 EUR"


def test_tasks_are_shown_as_part_of_the_price_or_as_rows_of_their_own() -> None:
    tasks = [task(position=2, price_net="80.00"), task(position=1, price_net="70.00")]
    assert (
        "tasks: 70.00 EUR + 80.00 EUR = 150.00 EUR, the net of the line, to which nothing is added"
        in steps(service(), tasks=tasks)
    )
    itemised = steps(service(), tasks=tasks, position=2, rules='tasks = "itemised"')
    assert itemised[0] == "line 2: service, 83.30 EUR gross"
    assert "each in a row of its own (itemised)" in itemised[2]
    unpriced = steps(service(), tasks=[task()])
    assert unpriced[2] == "tasks: 1, not all of them priced: they are named, and never added to the price"


def test_a_grouped_line_names_all_its_rows_and_how_they_add_up() -> None:
    rows = [service(f"S-{n}", quantity="0.5", unit_price_net="0.01") for n in (1, 2)]
    told = steps(*rows, rules="group_lines = true")
    assert [one.split(",")[0] for one in told[1:3]] == ["from service S-1", "from service S-2"]
    assert told[3].endswith("0.5 + 0.5 = 1, and their amounts are added up")
    assert told[4] == ("net: 1 × 0.01 EUR = 0.01 EUR; the rows, each rounded by itself, add up to 0.02 EUR")


def test_a_late_row_a_fee_and_a_price_of_zero_say_so() -> None:
    september = service("S-9", completed_at="2026-09-28T10:00:00Z", unit_price_net=None)
    view = ledger(closed=[("10023", "2026-09")])
    told = steps(september, ledger_view=view, rules='missing_price = "zero"')
    assert told[2] == "late: of 2026-09, which was closed for the customer: billed with 2026-10"
    assert told[3] == 'price: none in the OMS, so 0 (missing_price = "zero")'
    assert steps(fee())[1] == (
        "from cancellation fee F-1 (late_cancellation), charged 2026-10-20 10:00:00 CEST: 25.00 EUR net, 19 % VAT"
    )


def test_on_the_net_basis_vat_belongs_to_the_document() -> None:
    told = steps(service(), rules='price_basis = "net"')
    assert told[0] == "line 1: service, 150.00 EUR net"
    assert told[-2].startswith("the document: VAT is computed once per rate")
    assert told[-1] == "file: 1 × 150.00 EUR = 150.00 EUR, the amount on the net basis"


def test_a_row_that_changed_or_left_the_extract_is_told_of() -> None:
    billed = bill(service())
    changed = explained(billed, 1, service(unit_price_net="1.00"))
    assert "note: service S-1 has changed since it was billed: the steps below start from the line" in changed
    assert "from service S-1: not in the stored extract of the month any more" in explained(billed, 1, fee())


def test_an_adjustment_was_added_by_a_person() -> None:
    discount = Adjustment("A-1", MONTH, "10023", "Rabatt", Decimal(2), Decimal("10.00"), Decimal(19))
    told = steps(adjustments=[discount], customers=[customer()])
    assert told[1] == "from adjustment A-1: added by a person, as `adjust list` says"
    assert told[2] == "net: 2 × 10.00 EUR = 20.00 EUR"
