"""`explain` by the command line: from the order on the invoice to the OMS rows, even when they are gone."""

from __future__ import annotations

from pathlib import Path

from billing_pipeline_tests.support.installation import Installation
from billing_pipeline_tests.support.plain_months import run_plainly

MONTH = "2026-10"


def test_an_order_is_explained_from_what_was_kept_with_it_when_the_oms_has_moved_on(tmp_path: Path) -> None:
    installation = Installation(tmp_path, rules="group_lines = true\n")
    installation.oms.customer("10023")
    for name in ("S-1", "S-2"):
        installation.oms.service(name, "10023", quantity="0.5", unit="h", unit_price_net="33.33")
    installation.oms.service("S-3", "10023", unit_price_net="150.00", service_name="Check")
    installation.oms.task("S-3", 1, task_name="Front", price_net="70.00")
    installation.oms.task("S-3", 2, task_name="Rear", price_net="80.00")
    installation.oms.fee("F-1", "10023")
    signed = ("--reason", "goodwill", "--by", "Kim")
    discount = ("--title", "Discount", "--quantity", "1", "--price", "-10", "--vat", "19")
    installation.command("adjust", "add", MONTH, "--customer", "10023", *discount, *signed)
    run_plainly(installation, MONTH)
    first = installation.command("explain", "2026-10-10023").out

    installation.oms.change_service("S-1", unit_price_net="99.00")
    installation.oms.remove_service("S-3")
    run_plainly(installation, MONTH)

    assert installation.command("explain", "2026-10-10023").out == first
    grouped = installation.command("explain", "2026-10-10023", "1")
    assert grouped.status == 0
    assert grouped.out.splitlines() == [
        "2026-10-10023: customer 10023, 2026-10, revision 1, easybill_2026-10_10023.csv (published)",
        "line 1: service, 39,68 EUR gross",
        "    from service S-1, completed 2026-10-14 10:30:00 CEST: 0,5 h at 33,33 EUR net, 19 % VAT",
        "    from service S-2, completed 2026-10-14 10:30:00 CEST: 0,5 h at 33,33 EUR net, 19 % VAT",
        "    grouped: 2 services with the same article, text, price, VAT and month; 0,5 + 0,5 = 1, and their "
        "amounts are added up",
        "    net: 1 × 33,33 EUR = 33,33 EUR; the rows, each rounded by itself, add up to 33,34 EUR",
        "    gross: 33,34 EUR × 1,19 = 39,6746 EUR, half up 39,67 EUR; the rows, each rounded by itself, add up to "
        "39,68 EUR; VAT at 19 % is the rest, 6,34 EUR",
        "    file: 1 × 39,66 EUR = 39,66 EUR misses 39,68 EUR, so the row is folded: 1 × 39,68 EUR, and the title "
        "says quantity and unit price",
    ]
    lines = installation.command("explain", "2026-10-10023", "--json").json()["lines"]
    assert [(line["line_type"], line["sources"]) for line in lines] == [
        ("service", ["S-1", "S-2"]),
        ("service", ["S-3"]),
        ("cancellation_fee", ["F-1"]),
        ("adjustment", ["1"]),
    ]
    assert "tasks: 70,00 EUR + 80,00 EUR = 150,00 EUR, the net of the line" in "\n".join(lines[1]["steps"])
    assert lines[3]["steps"][-1].startswith("adjustment 1: added by Kim at 20")


def test_a_file_that_is_made_and_not_sent_is_explained_too(tmp_path: Path) -> None:
    installation = Installation(tmp_path, rules='delivery_policy = "all_or_nothing"\n')
    for number, price in (("10023", "150.00"), ("10024", None)):
        installation.oms.customer(number)
        installation.oms.service(f"S-{number}", number, unit_price_net=price)
    assert installation.command("run", MONTH).status == 1
    installation.oms.remove_service("S-10023")
    answer = installation.command("explain", "2026-10-10023", "1")
    assert answer.out.splitlines()[0].endswith("(made, not sent)")
    assert "from service S-10023" in answer.out


def test_an_order_or_a_line_that_there_is_not_is_a_usage_error(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.oms.customer("10023")
    installation.oms.service("S-1", "10023")
    run_plainly(installation, MONTH)
    for arguments, says in (
        (("2026-10-99999",), "the ledger has no order 2026-10-99999"),
        (("2026-10-10023", "2"), "order 2026-10-10023 has no line 2: its lines are 1 to 1"),
        (("2026-10-10023", "x"), "should be a valid integer"),
    ):
        answer = installation.command("explain", *arguments)
        assert answer.status == 2
        assert says in answer.err
