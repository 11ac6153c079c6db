"""The month as people read it: outcomes from what the ledger knows, counts that add up, totals by currency."""

from __future__ import annotations

import io
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.delivery.records import Delivery, Export, MonthCustomer, Outcome, State
from billing_pipeline.problems import Code, Problem
from billing_pipeline.report.month import OUTCOMES, CustomerStatus, MonthStatus, month_status
from billing_pipeline.report.month_table import print_table
from billing_pipeline.report.text import month_lines

EXPORTED = datetime(2026, 11, 1, 5, 0, tzinfo=UTC)
LATER = EXPORTED + timedelta(minutes=1)
SENT = LATER - timedelta(seconds=1)

EXPORT = Export(
    month="2026-10",
    customer_number="10023",
    outcome="rendered",
    order_number="2026-10-10023",
    file_name="easybill_2026-10_10023.csv",
    sha256="a" * 64,
    document_sha256="b" * 64,
    size_bytes=812,
    line_count=1,
    currency="EUR",
    net=15000,
    vat=2850,
    gross=17850,
    layout="easybill-custom-csv",
)
PRICE = Problem(Code.PRICE_MISSING, "10023", "Service S-1 has no price: enter one", source_id="S-1")


def row(
    export: Export = EXPORT, spoken: Outcome | None = None, problems: tuple[Problem, ...] = ()
) -> MonthCustomer:
    return MonthCustomer(
        export=export,
        export_run_id="run",
        exported_at=EXPORTED,
        delivery_outcome=spoken,
        delivery_problems=problems,
        delivery_sha256=export.sha256 if spoken else "",
        delivery_run_id="run" if spoken else "",
        delivered_at=LATER if spoken else None,
        closed_at=None,
    )


def delivery(state: State = State.PUBLISHED, **changes: Any) -> Delivery:
    """A delivery of `EXPORT`; what the report does not read is empty."""
    values: dict[str, Any] = {field.name: "" for field in fields(Delivery)}
    values |= {name: value for name, value in asdict(EXPORT).items() if name in values}
    values |= {"revision": 1, "state": state, "held_code": None, "updated_at": SENT, "published_at": SENT}
    return Delivery(**(values | changes))


def outcome_of(rows: list[MonthCustomer], deliveries: list[Delivery]) -> CustomerStatus:
    (customer,) = month_status("2026-10", rows, deliveries).customers
    return customer


def test_the_object_of_the_command_line_is_the_documented_one() -> None:
    status = month_status(
        "2026-10",
        [
            row(spoken="delivered"),
            row(Export("2026-10", "10024", "nothing_to_bill"), "nothing_to_bill"),
            row(Export("2026-10", "10025", "blocked", problems=(PRICE,)), "blocked", (PRICE,)),
        ],
        [delivery()],
    )
    told = status.as_json()
    assert told["counts"] == {
        "total": 3,
        "delivered": 1,
        "unchanged": 0,
        "nothing_to_bill": 1,
        "omitted": 0,
        "blocked": 1,
        "failed": 0,
        "held": 0,
    }
    assert told["totals"] == {"EUR": {"net": 15000, "vat": 2850, "gross": 17850}}
    assert told["customers"][0] == {
        "customer_number": "10023",
        "outcome": "delivered",
        "order_number": "2026-10-10023",
        "revision": 1,
        "file": "easybill_2026-10_10023.csv",
        "sha256": "a" * 64,
        "bytes": 812,
        "lines": 1,
        "net": 15000,
        "vat": 2850,
        "gross": 17850,
        "currency": "EUR",
        "problems": [],
    }
    assert told["customers"][2]["problems"] == [
        {
            "code": "PRICE_MISSING",
            "customer_number": "10023",
            "source_id": "S-1",
            "field": "",
            "value": "",
            "message": "Service S-1 has no price: enter one",
        }
    ]


def test_a_file_that_was_made_and_not_sent_has_failed_and_says_how_to_send_it() -> None:
    customer = outcome_of([row()], [])
    assert customer.outcome == "failed"
    assert customer.problems[0].code is Code.NOT_DELIVERED_YET
    assert "billing-pipeline run 2026-10 --customer 10023" in customer.problems[0].message


@pytest.mark.parametrize("state", [State.PLANNED, State.UPLOADING, State.COMMITTING])
def test_a_run_that_died_in_the_middle_of_a_delivery_reads_as_failed(state: State) -> None:
    assert outcome_of([row()], [delivery(state)]).outcome == "failed"


@pytest.mark.parametrize("state", [State.PUBLISHED, State.CONSUMED, State.CONFIRMED])
def test_a_published_file_of_the_same_bytes_reads_as_delivered_whatever_was_recorded_after(
    state: State,
) -> None:
    assert outcome_of([row()], [delivery(state)]).outcome == "delivered"


def test_what_is_held_stays_held_and_says_why() -> None:
    held = delivery(State.HELD, held_code=Code.NAME_COLLISION, held_reason="somebody else wrote it")
    customer = outcome_of([row(spoken="delivered")], [held])
    assert customer.outcome == "held"
    assert [problem.message for problem in customer.problems] == ["somebody else wrote it"]


def test_a_delivery_that_spoke_before_the_last_export_is_not_its_word() -> None:
    stale = replace(row(spoken="delivered"), delivered_at=EXPORTED - timedelta(days=1))
    changed = replace(stale, export=replace(EXPORT, sha256="c" * 64))
    assert outcome_of([changed], [delivery()]).outcome == "failed"


FAILED = Problem(Code.DELIVERY_FAILED, "10023", "the disk of the server was full")


@pytest.mark.parametrize("state", [State.PUBLISHED, State.CONSUMED, State.CONFIRMED])
def test_what_was_published_after_a_failure_was_told_reads_as_delivered(state: State) -> None:
    sent = delivery(state, published_at=LATER + timedelta(seconds=1))
    customer = outcome_of([row(spoken="failed", problems=(FAILED,))], [sent])
    assert (customer.outcome, customer.problems, customer.stands) == ("delivered", (), True)


@pytest.mark.parametrize("spoken", ["blocked", "held"])
def test_what_was_told_after_a_file_was_published_stands_whatever_the_delivery_notes_later(
    spoken: Outcome,
) -> None:
    confirmed = delivery(State.CONFIRMED, updated_at=LATER + timedelta(days=1))
    customer = outcome_of([row(spoken=spoken, problems=(PRICE,))], [confirmed])
    assert (customer.outcome, customer.problems) == (spoken, (PRICE,))


@pytest.mark.parametrize("state", [State.PLANNED, State.UPLOADING, State.COMMITTING])
def test_a_run_that_died_after_a_failure_was_told_no_longer_has_its_reason(state: State) -> None:
    taken = delivery(state, updated_at=LATER + timedelta(seconds=1), published_at=None)
    customer = outcome_of([row(spoken="failed", problems=(FAILED,))], [taken])
    assert customer.outcome == "failed"
    assert [problem.code for problem in customer.problems] == [Code.NOT_DELIVERED_YET]


def test_of_a_file_that_was_being_published_nobody_says_that_it_was_not_sent() -> None:
    customer = outcome_of([row()], [delivery(State.COMMITTING, published_at=None)])
    (problem,) = customer.problems
    assert "not sent yet" not in problem.message
    assert "whether it arrived is not known" in problem.message
    assert "billing-pipeline run 2026-10 --customer 10023" in problem.message


def test_a_second_run_of_a_month_reads_unchanged_with_the_amounts_of_what_went_out() -> None:
    customer = outcome_of([row(spoken="unchanged")], [delivery()])
    assert (customer.outcome, customer.gross, customer.revision) == ("unchanged", 17850, 1)


def test_after_a_correction_the_latest_revision_is_told() -> None:
    corrected = delivery(revision=2, order_number="2026-10-10023-r2", sha256="d" * 64)
    customer = outcome_of([row(spoken="delivered")], [corrected, delivery()])
    assert (customer.revision, customer.order_number) == (2, "2026-10-10023-r2")


def test_a_named_customer_without_rows_has_nothing_to_bill() -> None:
    status = month_status("2026-10", [row(spoken="delivered")], [delivery()]).only(["10023", "999"])
    assert [(one.customer_number, one.outcome) for one in status.customers] == [
        ("10023", "delivered"),
        ("999", "nothing_to_bill"),
    ]


@given(
    st.lists(st.tuples(st.sampled_from(OUTCOMES), st.integers(-500, 500), st.sampled_from(["EUR", "CHF"])))
)
def test_the_total_is_the_sum_of_the_other_counts_and_the_totals_are_of_what_arrived(
    customers: list[tuple[Outcome, int, str]],
) -> None:
    status = MonthStatus(
        "2026-10",
        tuple(
            CustomerStatus(
                str(number), outcome, file="f", net=amount, vat=1, gross=amount + 1, currency=currency
            )
            for number, (outcome, amount, currency) in enumerate(customers)
        ),
    )
    counts = status.counts
    assert counts["total"] == len(customers) == sum(counts[outcome] for outcome in OUTCOMES)
    arrived = [
        (amount, currency) for outcome, amount, currency in customers if outcome in {"delivered", "unchanged"}
    ]
    for currency, total in status.totals.items():
        assert total["net"] == sum(amount for amount, of in arrived if of == currency)
        assert total["net"] + total["vat"] == total["gross"]


def test_the_lines_for_people_name_every_customer_every_reason_and_the_sum() -> None:
    status = month_status(
        "2026-10",
        [
            row(spoken="delivered"),
            row(Export("2026-10", "10025", "blocked", problems=(PRICE,)), "blocked", (PRICE,)),
        ],
        [delivery()],
    )
    assert list(month_lines(status, language="en")) == [
        "10023  delivered        easybill_2026-10_10023.csv  1 line, 178.50 EUR gross",
        "10025  BLOCKED",
        "    PRICE_MISSING: Service S-1 has no price: enter one",
        "",
        "2026-10: 2 customers = 1 delivered + 1 BLOCKED",
        "  stands in EASY Bill: net 150.00 EUR, vat 28.50 EUR, gross 178.50 EUR",
    ]
    assert list(month_lines(status, everybody=False, language="en")) == [
        "10025  BLOCKED",
        "    PRICE_MISSING: Service S-1 has no price: enter one",
        "  1 other customer needs nobody: `--all` lists everybody",
        "",
        "2026-10: 2 customers = 1 delivered + 1 BLOCKED",
        "  stands in EASY Bill: net 150.00 EUR, vat 28.50 EUR, gross 178.50 EUR",
    ]


def test_a_month_that_needs_nobody_is_its_totals() -> None:
    status = month_status("2026-10", [row(spoken="delivered")], [delivery()])
    assert next(month_lines(status, everybody=False, language="en")) == "2026-10: 1 customer = 1 delivered"


@pytest.mark.parametrize("no_color", [True, False])
def test_the_table_has_every_reason_and_no_colour_where_no_color_is_set(
    no_color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name, value in {"TERM": "xterm-256color", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    marked = replace(PRICE, message="Service [red]S-1[/red] has no price")
    stream = Terminal()
    print_table([CustomerStatus("10025", "blocked", problems=(marked,))], stream, language="en")
    shown = stream.getvalue()
    assert "PRICE_MISSING: Service [red]S-1[/red] has no price" in shown
    assert ("\x1b[31m" in shown) is not no_color
