"""The documents of the golden files: one per peculiarity of the format, amounts worked out by hand.

Each case names the file it makes. A comment gives the arithmetic where it is not obvious.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.layout import Layout, load_layout
from billing_pipeline_tests.support.documents import a_customer, a_document, a_line

GROSS: Final = load_layout()
NET: Final = GROSS.model_copy(update={"name": "easybill-custom-csv-net", "price_basis": "net"})


def _umlauts() -> Document:
    return a_document(
        a_line(
            1,
            title="Akkuwechsel (vorn & hinten)\nRoller 4711, beide Akkus\nLeistungsdatum 14.10.2026, Köln-Ehrenfeld\n"
            "- Akku vorn tauschen (70,00 EUR netto)\n- Akku hinten tauschen (80,00 EUR netto)",
        ),
        # 2 x 10.00 net = 20.00, VAT 3.80, gross 23.80 = 2 x 11.90.
        a_line(
            2,
            item_number="PRÜF-ÄÖÜß",
            title="Prüfung nach §57 — größerer Umfang: 100 % „Ça“ 東京 😀\nLeistungsdatum 15.10.2026, Łódź",
            quantity=Decimal("2"),
            unit_price_net=1000,
            net=2000,
            vat=380,
            gross=2380,
            performed_on=date(2026, 10, 15),
            file_quantity=Decimal("2"),
            file_price=Decimal("11.90"),
        ),
    )


def _quotes_semicolons_line_breaks() -> Document:
    return a_document(
        a_line(
            title='Service "Premium"; inkl. 2" Reifen\n\nZeile nach Leerzeile;\tmit Tab\n"',
            item_number='A;"B"',
        ),
        customer=a_customer(
            company_name='"Zum Roten Ochsen"; Gaststätte', street="Hof 3\nHinterhaus; links", state='"'
        ),
    )


def _leading_zeros() -> Document:
    return a_document(
        a_line(item_number="007", title="0815\n- 00123 (0,00 EUR netto)"),
        customer_number="00123",
        customer=a_customer(zip_code="01067", city="Dresden", phone="030 0123", vat_id="000000001"),
    )


def _cancellation() -> Document:
    return a_document(
        # 25.00 net, 19 %: VAT 4.75, gross 29.75.
        a_line(
            1,
            line_type="cancellation_fee",
            item_number="LATE_CANCELLATION",
            title="Stornogebühr (late_cancellation)\nweniger als 24 h vorher abgesagt\n"
            "Stornierte Leistung: Akkuwechsel, storniert am 20.10.2026\nDatum 20.10.2026",
            unit="",
            unit_price_net=2500,
            net=2500,
            vat=475,
            gross=2975,
            performed_on=date(2026, 10, 20),
            file_price=Decimal("29.75"),
        ),
        # A discount, as an adjustment: -10.00 net, 7 %: VAT -0.70, gross -10.70.
        a_line(
            2,
            line_type="adjustment",
            item_number="",
            title="Kulanz",
            unit_price_net=-1000,
            net=-1000,
            vat=-70,
            gross=-1070,
            vat_basis_points=700,
            performed_on=date(2026, 10, 31),
            file_price=Decimal("-10.70"),
        ),
        # A service of nothing is a line; its article has no code.
        a_line(
            3,
            item_number="",
            title="Ersttermin (kostenlos)\nLeistungsdatum 21.10.2026",
            unit_price_net=0,
            net=0,
            vat=0,
            gross=0,
            performed_on=date(2026, 10, 21),
            file_price=Decimal("0"),
        ),
    )


def _intra_community() -> Document:
    return a_document(
        a_line(vat=0, gross=15000, vat_basis_points=0, file_price=Decimal("150")),
        customer_number="FR 4711/é",
        customer=a_customer(
            company_name="Société Générale des Trottinettes",
            street="12, rue de l'Élysée",
            zip_code="75008",
            city="Paris",
            country="FR",
            vat_id="FR40303265045",
            tax_type="intra-community-trade",
        ),
    )


def _folded() -> Document:
    return a_document(
        # 1000 x 0.10 net = 100.00, VAT 19.00, gross 119.00; 0.10 * 1.19 = 0.12, 1000 x 0.12 = 120.00 would miss.
        a_line(
            1,
            title="Schrauben (1.000 Stück × 0,10 EUR netto)\nLeistungsdatum 14.10.2026",
            quantity=Decimal("1000"),
            unit_price_net=10,
            net=10000,
            vat=1900,
            gross=11900,
            file_price=Decimal("119"),
        ),
        # 0.333 h x 90.00 = 29.97 net, VAT 5.69, gross 35.66; 0.333 x 107.10 = 35.6643, half up 35.66: not folded.
        a_line(
            2,
            item_number="STD",
            title="Arbeitszeit\nLeistungsdatum 14.10.2026\nMenge in h",
            quantity=Decimal("0.333"),
            unit="h",
            unit_price_net=9000,
            net=2997,
            vat=569,
            gross=3566,
            file_quantity=Decimal("0.333"),
            file_price=Decimal("107.10"),
        ),
        # 1500.5 m x 1.00 = 1500.50 net, VAT 285.095, half up 285.10, gross 1785.60;
        # 1500.5 x 1.19 = 1785.595, half up the same.
        a_line(
            3,
            item_number="KABEL",
            title="Kabel\nLeistungsdatum 14.10.2026\nMenge in m",
            quantity=Decimal("1500.500"),
            unit="m",
            unit_price_net=100,
            net=150050,
            vat=28510,
            gross=178560,
            file_quantity=Decimal("1500.500"),
            file_price=Decimal("1.19"),
        ),
    )


def _net_basis() -> Document:
    # 19 %: 16.80 x 3 = 50.40 and 150.00, together 200.40, VAT 38.076, half up 38.08. 7 %: 9.99, VAT 0.6993, 0.70.
    return a_document(
        a_line(1, file_price=Decimal("150")),
        a_line(
            2,
            quantity=Decimal("3"),
            unit_price_net=1680,
            net=5040,
            vat=958,
            gross=5998,
            file_quantity=Decimal("3"),
            file_price=Decimal("16.80"),
        ),
        a_line(
            3,
            item_number="BUCH",
            title="Handbuch\nLeistungsdatum 14.10.2026",
            unit_price_net=999,
            net=999,
            vat=70,
            gross=1069,
            vat_basis_points=700,
            file_price=Decimal("9.99"),
        ),
        price_basis="net",
        net=21039,
        vat=3878,
        gross=24917,
    )


def _english() -> Document:
    return a_document(
        a_line(
            title="Battery change service\nScooter 4711, both packs\nService date 14 Oct 2026, Berlin Mitte\n"
            "- Front battery change (70.00 EUR net)\n- Rear battery change (80.00 EUR net)"
        ),
        customer=a_customer(
            company_name="", first_name="Siobhán", last_name="O'Neill", country="IE", vat_id=""
        ),
    )


def _correction_in_yen() -> Document:
    return a_document(
        # 12,500 JPY without VAT: the yen has no minor unit, the column still has two decimals.
        a_line(
            unit_price_net=12500, net=12500, vat=0, gross=12500, vat_basis_points=0, file_price=Decimal(12500)
        ),
        revision=2,
        order_number="OMS/2026-10-10023-r2",
        file_name="easybill_2026-10_10023_r2.csv",
        currency="JPY",
        purchase_date=date(2026, 11, 1),
        customer=a_customer(country="JP", tax_type="export", currency="JPY", vat_id="", city="千代田区"),
    )


def _formulas_and_invisible_text() -> Document:
    return a_document(
        a_line(
            title='=HYPERLINK("http://evil.example";"click")\n+1+1\n-2+3\n@SUM(A1)\n'
            "zero\u200bwidth \u202eRTL\u202c\tTab",
            item_number="=1+1",
        ),
        customer=a_customer(
            company_name="@cmd|'/C calc'!A0", first_name="-1", last_name="+49", street=" vorn und hinten "
        ),
    )


CASES: Final[Mapping[str, tuple[Document, Layout]]] = {
    "umlauts": (_umlauts(), GROSS),
    "quotes_semicolons_line_breaks": (_quotes_semicolons_line_breaks(), GROSS),
    "leading_zeros": (_leading_zeros(), GROSS),
    "cancellation": (_cancellation(), GROSS),
    "intra_community": (_intra_community(), GROSS),
    "folded": (_folded(), GROSS),
    "net_basis": (_net_basis(), NET),
    "english": (_english(), GROSS),
    "correction_in_yen": (_correction_in_yen(), GROSS),
    "formulas_and_invisible_text": (_formulas_and_invisible_text(), GROSS),
}
