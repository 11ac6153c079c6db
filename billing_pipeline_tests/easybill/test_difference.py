"""What people are told when a file would now be another than the one that was delivered."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from billing_pipeline.easybill.difference import difference
from billing_pipeline.easybill.document import Document
from billing_pipeline_tests.support.documents import a_customer, a_document, a_line


def text(before: Document, after: Document) -> str:
    return difference(before, after).text("en")


def test_equal_documents_do_not_differ() -> None:
    found = difference(a_document(), a_document())
    assert (found.lines, found.fields) == ((), ())


def test_a_changed_price_is_told_per_line_and_in_total() -> None:
    before = a_document(a_line(1), a_line(2))
    after = a_document(a_line(1), a_line(2, unit_price_net=16000, net=16000, vat=3040, gross=19040))
    assert text(before, after) == (
        "net 300.00 EUR → 310.00 EUR, gross 357.00 EUR → 368.90 EUR; "
        "line 2 (Battery change service): unit price (net) 150.00 EUR → 160.00 EUR, net 150.00 EUR → 160.00 EUR"
    )


def test_lines_that_are_new_or_gone_are_named_whatever_their_position() -> None:
    before = a_document(a_line(1), a_line(2))
    stays = replace(a_line(2), position=1)
    after = a_document(stays, a_line(3, title="Scooter wash"))
    found = difference(before, after)
    assert [(line.before is None, line.after is None) for line in found.lines] == [
        (True, False),
        (False, True),
    ]
    assert found.text("en") == (
        "the totals are the same; new: line 3 (Scooter wash), net 150.00 EUR; "
        "gone: line 1 (Battery change service), net 150.00 EUR"
    )


def test_an_address_that_changed_is_named_without_its_content() -> None:
    after = a_document(customer=a_customer(street="Neue Straße 1", phone=""))
    assert text(a_document(), after) == (
        "the totals are the same; also changed: customer.phone, customer.street"
    )


def test_quantity_rate_and_text_are_written_for_people() -> None:
    after = a_document(a_line(quantity=Decimal("2.500"), vat_basis_points=700, title="Wash\nby hand"))
    assert text(a_document(), after) == (
        "the totals are the same; line 1 (Wash): "
        "title Battery change service / Leistungsdatum 14.10.2026, Berlin Mitte → Wash / by hand, "
        "quantity 1 → 2.5, VAT 19 % → 7 %"
    )
