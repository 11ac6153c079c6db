"""The importer: drafts equal to the cent, an order number once, faulty files aside, and no draft twice after a kill."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from billing_pipeline.sandbox.books import Books
from billing_pipeline.sandbox.importer import Importer
from billing_pipeline.sandbox.receiver_amounts import Amounts
from billing_pipeline_tests.support.custom_csv import custom_csv


class Inbox:
    """The three folders and the books, without a server."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.books = Books(root / "easybill.db")
        self.importer = Importer(root, self.books)

    def put(self, name: str, data: bytes) -> None:
        (self.root / "import" / name).write_bytes(data)

    def names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.root / folder).iterdir())


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)


def test_a_good_file_becomes_a_draft_and_is_archived(inbox: Inbox) -> None:
    inbox.put("a.csv", custom_csv({}, {"title": "Storno", "item_price": "-10.00", "vat_percent": "7.00"}))
    report = inbox.importer.import_now()
    assert (report.imported, report.skipped, report.refused) == (("2026-10-10023",), (), ())
    assert (inbox.names("import"), inbox.names("archive")) == ([], ["a.csv"])
    (draft,), total = inbox.books.documents()
    assert total == 1
    assert (draft.net, draft.vat, draft.gross) == (15000 - 935, 2850 - 65, 17850 - 1000)
    assert (draft.order_number, draft.customer_number, draft.currency) == ("2026-10-10023", "10023", "EUR")
    assert (draft.is_draft, draft.number, draft.document_date.isoformat()) == (True, None, "2026-10-31")
    assert [(item.description, item.amounts) for item in draft.items] == [
        ("Battery change service", Amounts(15000, 2850, 17850)),
        ("Storno", Amounts(-935, -65, -1000)),
    ]


def test_an_account_on_the_net_basis_reads_the_price_as_net(tmp_path: Path) -> None:
    importer = Importer(tmp_path, books := Books(tmp_path / "easybill.db"), basis="net")
    (tmp_path / "import" / "a.csv").write_bytes(custom_csv({"item_price": "150.00"}))
    importer.import_now()
    (draft,), _ = books.documents()
    assert (draft.net, draft.vat, draft.gross, draft.basis) == (15000, 2850, 17850, "net")


def test_a_known_order_number_is_skipped_whatever_the_file_says(inbox: Inbox) -> None:
    inbox.put("a.csv", custom_csv({}))
    inbox.importer.import_now()
    inbox.put("b.csv", custom_csv({"item_price": "999.00"}, {"order_number": "new", "item_price": "1.19"}))
    report = inbox.importer.import_now()
    assert (report.imported, report.skipped) == (("new",), ("2026-10-10023",))
    assert inbox.names("archive") == ["a.csv", "b.csv"]
    assert [draft.gross for draft in inbox.books.documents()[0]] == [17850, 119]
    assert [(record.outcome, record.message) for record in inbox.books.imports()] == [
        ("imported", ""),
        ("skipped", "übersprungen: order number known"),
        ("imported", ""),
    ]


def test_a_wrong_file_goes_to_error_with_a_report_and_nothing_of_it_is_imported(inbox: Inbox) -> None:
    inbox.put("a.csv", custom_csv({}, {"order_number": "other", "item_price": "12,50"}))
    assert inbox.importer.import_now().refused == ("a.csv",)
    assert (inbox.names("import"), inbox.names("error")) == ([], ["a.csv", "a.csv.report.txt"])
    report = (inbox.root / "error" / "a.csv.report.txt").read_text(encoding="utf-8")
    assert report == "row 2, item_price = '12,50': expected a price such as 1234.50\n"
    assert inbox.books.documents() == ([], 0)
    (record,) = inbox.books.imports()
    assert (record.outcome, record.file_name, record.message) == ("error", "a.csv", report)


def test_names_with_a_leading_dot_or_tmp_at_the_end_are_left_alone(inbox: Inbox) -> None:
    for name in (".a.csv.0f.tmp", ".hidden.csv", "b.csv.tmp"):
        inbox.put(name, custom_csv({}))
    (inbox.root / "import" / "folder").mkdir()
    assert inbox.importer.import_now().files == ()
    assert inbox.names("import") == [".a.csv.0f.tmp", ".hidden.csv", "b.csv.tmp", "folder"]


def test_a_name_seen_before_overwrites_nothing_in_the_archive(inbox: Inbox) -> None:
    for order_number in ("1", "2", "3"):
        inbox.put("a.csv", custom_csv({"order_number": order_number}))
        inbox.importer.import_now()
    assert inbox.names("archive") == ["a.csv", "a.csv.2", "a.csv.3"]
    assert (inbox.root / "archive" / "a.csv").read_bytes() == custom_csv({"order_number": "1"})


def test_killed_between_draft_and_archive_the_file_is_skipped_next_time(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(self: Path, target: Path) -> Path:
        raise Killed

    inbox.put("a.csv", custom_csv({}))
    with monkeypatch.context() as kill:
        kill.setattr(Path, "rename", killed)
        with pytest.raises(Killed):
            inbox.importer.import_now()
    assert (inbox.names("import"), len(inbox.books.documents()[0])) == (["a.csv"], 1)

    report = Importer(inbox.root, inbox.books).import_now()
    assert (report.imported, report.skipped) == ((), ("2026-10-10023",))
    assert (inbox.names("archive"), len(inbox.books.documents()[0])) == (["a.csv"], 1)


def test_a_file_is_imported_whole_or_not_at_all(inbox: Inbox) -> None:
    inbox.put("a.csv", custom_csv({}, {"order_number": "2", "title": "second"}))
    with closing(sqlite3.connect(inbox.root / "easybill.db")) as db:
        db.execute(
            "CREATE TRIGGER disk_full BEFORE INSERT ON items WHEN NEW.description = 'second'"
            " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        with pytest.raises(sqlite3.IntegrityError, match="disk full"):
            inbox.importer.import_now()
        assert (inbox.books.documents(), inbox.books.customers(), inbox.books.imports()) == (([], 0), [], [])
        db.execute("DROP TRIGGER disk_full")
    assert inbox.importer.import_now().imported == ("2026-10-10023", "2")


def test_a_customer_is_created_once_and_found_by_number_after_that(inbox: Inbox) -> None:
    inbox.put("a.csv", custom_csv({}))
    inbox.put("b.csv", custom_csv({"order_number": "2", "street": "moved"}))
    inbox.put("c.csv", custom_csv({"order_number": "3", "customer_number": "010023"}))
    inbox.importer.import_now()
    customers = inbox.books.customers()
    assert [customer.number for customer in customers] == ["10023", "010023"]
    assert customers[0].card["company_name"] == "Müller & Söhne GmbH"
    assert customers[0].card["street"] == "Düsselstr. 21"
    assert [draft.customer_id for draft in inbox.books.documents()[0]] == [1, 1, 2]


def test_a_tax_free_customer_gets_the_tax_option_of_the_api(inbox: Inbox) -> None:
    inbox.put("a.csv", custom_csv({"tax_type": "intra-community-trade", "vat_percent": "0.00"}))
    inbox.importer.import_now()
    (draft,), _ = inbox.books.documents()
    assert draft.details["vat_option"] == "IG"
    assert inbox.books.customers()[0].card["tax_options"] == "IG"
    assert (draft.net, draft.vat, draft.gross) == (17850, 0, 17850)


@pytest.mark.parametrize("statement", ["DELETE FROM imports", "UPDATE imports SET outcome = 'imported'"])
def test_the_log_of_imports_cannot_be_changed(inbox: Inbox, statement: str) -> None:
    inbox.put("a.csv", b"wrong")
    inbox.importer.import_now()
    with closing(sqlite3.connect(inbox.root / "easybill.db")) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute(statement)
