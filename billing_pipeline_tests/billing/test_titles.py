"""The text of a line, in German and English."""

from __future__ import annotations

import pytest

from billing_pipeline_tests.support.billing import bill, line_of, lines_of
from billing_pipeline_tests.support.frames import fee, service, task

BATTERY_CHANGE = service(description="Scooter 4711, both packs", location="Berlin Mitte")
TASKS = [
    task(position=2, task_name="Rear battery change", price_net="80.00"),
    task(position=1, task_name="Front battery change", price_net="70.00"),
]


def test_a_service_says_name_description_date_place_and_its_tasks_in_their_order() -> None:
    assert line_of(BATTERY_CHANGE, tasks=TASKS).title == (
        "Battery change service\n"
        "Scooter 4711, both packs\n"
        "Leistungsdatum 14.10.2026, Berlin Mitte\n"
        "- Front battery change (70,00 EUR netto)\n"
        "- Rear battery change (80,00 EUR netto)"
    )


def test_the_english_text_has_english_labels_dates_and_numbers() -> None:
    assert line_of(BATTERY_CHANGE, tasks=TASKS, rules='language = "en"').title == (
        "Battery change service\n"
        "Scooter 4711, both packs\n"
        "Service date 14 October 2026, Berlin Mitte\n"
        "- Front battery change (70.00 EUR net)\n"
        "- Rear battery change (80.00 EUR net)"
    )


def test_the_language_can_be_set_for_one_customer() -> None:
    billed = bill(
        service("S-1"),
        service("S-2", customer_number="20001"),
        rules='[customers."20001"]\nlanguage = "en"',
    )
    assert lines_of(billed, "10023")[0].title.endswith("Leistungsdatum 14.10.2026")
    assert lines_of(billed, "20001")[0].title.endswith("Service date 14 October 2026")


@pytest.mark.parametrize("absent", [None, ""])
def test_what_a_service_does_not_have_leaves_no_trace(absent: str | None) -> None:
    line = line_of(service(description=absent, location=absent, service_code=absent, unit=absent))
    assert line.title == "Battery change service\nLeistungsdatum 14.10.2026"
    assert (line.item_number, line.unit) == ("", "")


def test_a_task_without_a_price_is_named_without_one() -> None:
    title = line_of(service(), tasks=[task(task_name="Check", price_net=None)]).title
    assert title.splitlines()[-1] == "- Check"


def test_a_task_of_0_has_its_price() -> None:
    title = line_of(service(unit_price_net="0"), tasks=[task(task_name="Check", price_net="0")]).title
    assert title.splitlines()[-1] == "- Check (0,00 EUR netto)"


def test_the_date_is_that_of_the_billing_time_zone() -> None:
    line = line_of(service(completed_at="2026-10-14T22:30:00Z"))
    assert line.title.endswith("Leistungsdatum 15.10.2026")
    assert str(line.performed_on) == "2026-10-15"


def test_a_folded_line_says_quantity_unit_and_unit_price_in_its_first_line() -> None:
    folded = service(quantity="1000", unit_price_net="0.10", description="each")
    assert line_of(folded).title == (
        "Battery change service (1.000 Stück × 0,10 EUR netto)\neach\nLeistungsdatum 14.10.2026"
    )
    assert line_of(folded, rules='language = "en"').title.startswith(
        "Battery change service (1,000 Stück × 0.10 EUR net)\n"
    )


def test_the_first_line_of_a_folded_title_is_that_of_a_name_of_several_lines() -> None:
    folded = service(service_name="Repair\r\nworkshop", quantity="0.5", unit=None, unit_price_net="33.33")
    assert line_of(folded).title.startswith("Repair (0,5 × 33,33 EUR netto)\r\nworkshop\n")


def test_a_cancellation_fee_without_an_entry_is_called_by_its_type() -> None:
    line = line_of(fee(description="Termin am 21.10."))
    assert line.item_number == "LATE_CANCELLATION"
    assert line.title == "Stornogebühr (late_cancellation)\nTermin am 21.10.\nDatum 20.10.2026"
    english = line_of(fee(), rules='language = "en"')
    assert english.title == "Cancellation fee (late_cancellation)\nDate 20 October 2026"


def test_a_cancellation_fee_with_an_entry_has_its_article_and_title() -> None:
    entry = 'cancellation_fees.late_cancellation = { item_number = "STORNO", title = "Stornierung" }'
    line = line_of(fee(), rules=entry)
    assert (line.item_number, line.title) == ("STORNO", "Stornierung\nDatum 20.10.2026")


def test_an_entry_with_a_title_alone_leaves_the_article_as_it_is_and_may_be_one_customers() -> None:
    mine = '[customers."10023"]\ncancellation_fees.late_cancellation = { title = "Storno 24 h" }'
    line = line_of(fee(), rules=mine)
    assert line.item_number == "LATE_CANCELLATION"
    assert line.title.startswith("Storno 24 h\n")


def test_beside_a_net_price_column_a_task_price_needs_no_word() -> None:
    line = line_of(BATTERY_CHANGE, tasks=TASKS, rules='price_basis = "net"')
    assert line.title.endswith("- Front battery change (70,00 EUR)\n- Rear battery change (80,00 EUR)")


def test_a_unit_that_is_not_a_piece_is_told_in_the_title() -> None:
    hours = service(quantity="2", unit="Std", unit_price_net="75.00")
    assert line_of(hours).title == "Battery change service\nLeistungsdatum 14.10.2026\nMenge in Std"
    assert line_of(hours, rules='language = "en"').title.endswith("\nQuantity in Std")
    assert "Menge" not in line_of(hours, rules='plain_units = ["std"]').title


@pytest.mark.parametrize("unit", [None, "", "Stück", "STK", "pcs"])
def test_a_piece_is_not_told(unit: str | None) -> None:
    assert line_of(service(unit=unit)).title == "Battery change service\nLeistungsdatum 14.10.2026"


def test_a_folded_line_says_its_unit_once() -> None:
    folded = service(quantity="1000", unit="kWh", unit_price_net="0.10")
    assert line_of(folded).title.count("kWh") == 1


def test_a_fee_names_the_cancelled_service_and_when_as_far_as_the_oms_says() -> None:
    known = fee(service_name="Reparatur", cancelled_at="2026-10-19T22:30:00Z")
    assert line_of(known).title == (
        "Stornogebühr (late_cancellation)\n"
        "Stornierte Leistung: Reparatur, storniert am 20.10.2026\n"
        "Datum 20.10.2026"
    )
    assert "\nCancelled service: Reparatur, cancelled on 20 October 2026\n" in (
        line_of(known, rules='language = "en"').title
    )
    assert "\nStornierte Leistung: Reparatur\n" in line_of(fee(service_name="Reparatur")).title
    assert "\nStorniert am 19.10.2026\n" in line_of(fee(cancelled_at="2026-10-19T10:00:00Z")).title
