"""A whole month of the demo OMS through billing into files: each passes its check, and adds up for the receiver."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline.billing.bill import bill_month
from billing_pipeline.billing.rules import load_rules
from billing_pipeline.easybill.document import Document
from billing_pipeline.easybill.document_columns import documents_of, month_columns
from billing_pipeline.easybill.fitness import unfit_values
from billing_pipeline.easybill.layout import load_layout
from billing_pipeline.easybill.render import render_csv
from billing_pipeline.oms.demo import create_demo_oms
from billing_pipeline.oms.extract import Extract, extract_month
from billing_pipeline.oms.period import period_of
from billing_pipeline.oms.source import open_source
from billing_pipeline.sandbox.custom_csv import read_orders
from billing_pipeline.sandbox.receiver_amounts import Basis, document_amounts, line_amounts
from billing_pipeline_tests.support.documents import check_file

MONTH = "2026-10"
ZONE = "Europe/Berlin"


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Extract:
    path = tmp_path_factory.mktemp("oms") / "demo.db"
    create_demo_oms(path, until_month=MONTH, months=1, customers=120)
    return extract_month(open_source(f"sqlite:///{path}"), period_of(MONTH, ZONE), timezone=ZONE)


@pytest.mark.parametrize("basis", ["gross", "net"])
@pytest.mark.parametrize("language", ["de", "en"])
def test_every_file_of_the_demo_month_is_right(
    extract: Extract, tmp_path: Path, basis: Basis, language: str
) -> None:
    rules_file = tmp_path / "rules.toml"
    rules_file.write_text(f'price_basis = "{basis}"\nlanguage = "{language}"\n')
    rules = load_rules(rules_file)
    layout = load_layout()
    billed = bill_month(extract, MONTH, rules, timezone=ZONE)
    columns = list(
        month_columns(
            billed.lines,
            billed.totals,
            extract.customers,
            month=MONTH,
            rules=rules,
            revisions={},
            most_lines=100,
        )
    )
    assert len(columns) > 2
    assert [problem for one in columns for problem in unfit_values(one, layout)] == []
    made = list(documents_of(columns))
    assert len(made) > 50
    for document in made:
        data = render_csv(document, layout)
        assert check_file(data, document, layout) == []
        assert Document.from_json(document.to_json()) == document
        # The sandbox reads and adds up by its own code, in hundredths; the demo bills in euros and francs.
        (order,), faults = read_orders(data)
        assert faults == ()
        assert order.order_number == document.order_number
        lines = [
            (line.vat_percent, line_amounts(line.quantity, line.price * 100, line.vat_percent, basis))
            for line in order.lines
        ]
        assert document_amounts(lines, basis).gross == document.gross
