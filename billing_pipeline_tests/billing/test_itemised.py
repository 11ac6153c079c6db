"""Tasks as rows of their own."""

from __future__ import annotations

from decimal import Decimal

from billing_pipeline.problems import Code
from billing_pipeline_tests.support.billing import bill, line_of, lines_of, problems_in
from billing_pipeline_tests.support.frames import service, task

ITEMISED = 'tasks = "itemised"'
TASKS = [
    task(position=2, task_name="Rear", price_net="80.00"),
    task(position=1, task_name="Front", price_net="70.00"),
]


def test_each_task_has_a_row_of_its_own_and_the_service_one_without_price() -> None:
    later = service("S-2", completed_at="2026-10-14T10:00:00Z")
    lines = lines_of(bill(service(quantity="2", unit_price_net="75"), later, tasks=TASKS, rules=ITEMISED))
    assert [(line.position, line.title, line.net, line.source_ids) for line in lines] == [
        (1, "Battery change service\nLeistungsdatum 14.10.2026", 0, ["S-1"]),
        (2, "Front", 7000, ["S-1"]),
        (3, "Rear", 8000, ["S-1"]),
        (4, "Battery change service\nLeistungsdatum 14.10.2026", 15000, ["S-2"]),
    ]
    head, front, *_ = lines
    assert (head.quantity, head.unit, head.unit_price_net, head.item_number) == (2, "Stück", 0, "BAT-2")
    assert (front.quantity, front.unit, front.item_number) == (1, "", "")
    assert front.file_price == Decimal("83.3")
    assert {line.line_type for line in lines} == {"service"}


def test_a_service_with_a_task_without_price_stays_whole() -> None:
    line = line_of(service(), tasks=[*TASKS, task(position=3, task_name="Check")], rules=ITEMISED)
    assert line.net == 15000
    assert line.title.endswith("- Front (70,00 EUR netto)\n- Rear (80,00 EUR netto)\n- Check")


def test_a_service_whose_price_is_set_elsewhere_stays_whole() -> None:
    line = line_of(service(unit_price_net=None), tasks=TASKS, rules=f'{ITEMISED}\nmissing_price = "zero"')
    assert line.net == 0
    assert line.title.endswith("- Rear (80,00 EUR netto)")


def test_tasks_that_do_not_add_up_are_a_problem_here_too() -> None:
    billed = bill(service(unit_price_net="151"), tasks=TASKS, rules=ITEMISED)
    assert [problem.code for problem in problems_in(billed)] == [Code.TASK_SUM_MISMATCH]


def test_it_may_be_one_customers() -> None:
    billed = bill(
        service(),
        service("S-2", customer_number="2"),
        tasks=[*TASKS, *(row | {"service_id": "S-2"} for row in TASKS)],
        rules=f'[customers."2"]\n{ITEMISED}',
    )
    assert (len(lines_of(billed)), len(lines_of(billed, "2"))) == (1, 3)
