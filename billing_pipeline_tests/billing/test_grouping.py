"""Like services as one line."""

from __future__ import annotations

from decimal import Decimal

import pytest

from billing_pipeline_tests.support.billing import bill, line_of, lines_of, problems_in
from billing_pipeline_tests.support.frames import fee, service, task

GROUPED = "group_lines = true"


def day(service_id: str, number: int, **cells: object) -> dict[str, object]:
    return service(service_id, completed_at=f"2026-10-{number:02d}T09:30:00Z", **cells)


def test_like_services_become_one_line_that_names_its_period_and_all_its_rows() -> None:
    line = line_of(day("S-3", 5, quantity="0.5"), day("S-1", 14), day("S-2", 20, quantity="2"), rules=GROUPED)
    assert line.source_ids == ["S-3", "S-1", "S-2"]
    assert len(set(line.source_fingerprints)) == 3
    assert (line.quantity, line.unit_price_net, line.net, line.gross) == (Decimal("3.5"), 15000, 52500, 62475)
    assert line.title == "Battery change service\nLeistungszeitraum 05.10.2026 - 20.10.2026"
    assert (str(line.performed_on), line.position) == ("2026-10-20", 1)


def test_services_of_one_day_keep_their_date() -> None:
    assert line_of(day("S-1", 5), day("S-2", 5), rules=GROUPED).title.endswith("Leistungsdatum 05.10.2026")
    english = line_of(day("S-1", 5), day("S-2", 6), rules=f'{GROUPED}\nlanguage = "en"')
    assert english.title.endswith("Service period 5 October 2026 - 6 October 2026")


@pytest.mark.parametrize(
    "other",
    [
        {"service_code": "BAT-3"},
        {"service_name": "Other"},
        {"description": "Other"},
        {"location": "Berlin"},
        {"unit": "h"},
        {"unit_price_net": "150.01"},
        {"vat_percent": "7"},
    ],
)
def test_services_that_differ_stay_apart(other: dict[str, str]) -> None:
    assert len(lines_of(bill(day("S-1", 5), day("S-2", 5, **other), rules=GROUPED))) == 2


def test_services_with_other_tasks_stay_apart_and_with_the_same_are_like() -> None:
    rows = [day("S-1", 5), day("S-2", 6), day("S-3", 7)]
    tasks = [task("S-1", task_name="A"), task("S-2", task_name="A"), task("S-3", task_name="B")]
    lines = lines_of(bill(*rows, tasks=tasks, rules=GROUPED))
    assert [line.source_ids for line in lines] == [["S-1", "S-2"], ["S-3"]]


def test_fees_and_customers_stay_apart_and_a_group_stands_where_its_last_row_stood() -> None:
    rows = [day("S-1", 5), day("S-2", 20), day("S-3", 10, service_name="Other")]
    billed = bill(*rows, fee("F-1"), fee("F-2"), day("T-1", 5, customer_number="2"), rules=GROUPED)
    assert [line.source_ids for line in lines_of(billed)] == [["S-3"], ["F-1"], ["F-2"], ["S-1", "S-2"]]
    assert [line.position for line in lines_of(billed)] == [1, 2, 3, 4]
    assert len(lines_of(billed, "2")) == 1


def test_amounts_that_were_rounded_row_by_row_are_added_up_and_the_line_is_folded() -> None:
    rows = [day(f"S-{n}", 5, quantity="0.5", unit_price_net="0.01") for n in range(4)]  # 0.005 each, up
    line = line_of(*rows, rules=GROUPED)
    assert (line.quantity, line.unit_price_net, line.net, line.gross) == (2, 1, 4, 4)
    assert line.folded
    assert line.title.startswith("Battery change service (2 Stück × 0,01 EUR netto)")


def test_a_thousand_small_rows_keep_their_sum_and_tie_without_folding() -> None:
    rows = [day(f"S-{n}", 5, unit_price_net="0.10") for n in range(1000)]  # 0.12 gross each
    line = line_of(*rows, rules=GROUPED)
    assert (line.gross, line.folded, line.file_quantity) == (12000, False, 1000)


def test_what_one_line_cannot_hold_stays_apart() -> None:
    rows = [day(f"S-{n}", 5, quantity="999999999.999", unit_price_net="0.01") for n in range(2)]
    billed = bill(*rows, rules=GROUPED)
    assert problems_in(billed) == []
    assert [line.source_ids for line in lines_of(billed)] == [["S-0"], ["S-1"]]


def test_it_may_be_one_customers_and_itemised_services_stay_apart() -> None:
    rows = [
        day("S-1", 5),
        day("S-2", 6),
        day("T-1", 5, customer_number="2"),
        day("T-2", 5, customer_number="2"),
    ]
    billed = bill(*rows, rules=f'[customers."2"]\n{GROUPED}')
    assert (len(lines_of(billed)), len(lines_of(billed, "2"))) == (2, 1)
    tasks = [task("S-1", price_net="150"), task("S-2", price_net="150")]
    itemised = bill(*rows[:2], tasks=tasks, rules=f'{GROUPED}\ntasks = "itemised"')
    assert len(lines_of(itemised)) == 4
