"""What EASY Bill remembers, in one SQLite file: customers, orders, documents, and the log of the imports.

Importer and REST API share it; each call is one transaction of its own, durable when it returns. The log
(`imports`) is append-only by trigger: tests judge the pipeline by it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

from billing_pipeline.sandbox.drafts import Customer, Draft, ImportRecord, Item, NewDocument
from billing_pipeline.sandbox.receiver_amounts import Amounts

_SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (
  id INTEGER PRIMARY KEY, number TEXT NOT NULL, card TEXT NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS customers_by_number ON customers (number);
CREATE TABLE IF NOT EXISTS documents (
  id INTEGER PRIMARY KEY, origin TEXT NOT NULL, is_draft INTEGER NOT NULL, number TEXT,
  order_number TEXT NOT NULL, customer_id INTEGER REFERENCES customers (id), document_date TEXT NOT NULL,
  currency TEXT NOT NULL, basis TEXT NOT NULL, net INTEGER NOT NULL, vat INTEGER NOT NULL, gross INTEGER NOT NULL,
  details TEXT NOT NULL, created_at TEXT NOT NULL, edited_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS items (
  document_id INTEGER NOT NULL REFERENCES documents (id), position INTEGER NOT NULL, type TEXT NOT NULL,
  number TEXT, description TEXT, quantity TEXT NOT NULL, unit TEXT, price TEXT NOT NULL,
  vat_percent TEXT NOT NULL, net INTEGER NOT NULL, vat INTEGER NOT NULL, gross INTEGER NOT NULL,
  booking_account TEXT, export_cost_1 TEXT, kind TEXT NOT NULL,
  PRIMARY KEY (document_id, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
  order_number TEXT PRIMARY KEY, document_id INTEGER NOT NULL REFERENCES documents (id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS imports (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, file_name TEXT NOT NULL, sha256 TEXT NOT NULL,
  size_bytes INTEGER NOT NULL, outcome TEXT NOT NULL CHECK (outcome IN ('imported', 'skipped', 'error')),
  order_number TEXT NOT NULL, document_id INTEGER, message TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deleted_documents (
  document_id INTEGER PRIMARY KEY REFERENCES documents (id), at TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS imports_are_never_changed BEFORE UPDATE ON imports
  BEGIN SELECT RAISE(ABORT, 'imports is append-only'); END;
CREATE TRIGGER IF NOT EXISTS imports_are_never_deleted BEFORE DELETE ON imports
  BEGIN SELECT RAISE(ABORT, 'imports is append-only'); END;
"""
_DOCUMENTS = (
    "SELECT d.*, coalesce(c.number, '') AS customer_number FROM documents d"
    " LEFT JOIN customers c ON c.id = d.customer_id"
    " WHERE d.id NOT IN (SELECT document_id FROM deleted_documents) ORDER BY d.id"
)


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file as it lay in the inbox."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class IncomingOrder:
    """An order that is to become a document: its customer's card, found by `number` or created, and the rest."""

    order_number: str
    customer_number: str
    card: Mapping[str, object]
    document: NewDocument


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """What became of one order: a new document, or skipped because its number was already there."""

    order_number: str
    outcome: Literal["imported", "skipped"]
    document_id: int


class Books:
    """The SQLite file, made on first use. Safe to share between threads and processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connection() as db:
            # Readers then never wait for the importer.
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_SCHEMA)

    def import_orders(self, file: ReceivedFile, orders: Sequence[IncomingOrder]) -> tuple[OrderOutcome, ...]:
        """All orders of a file, or none: each becomes a document, or is skipped where its number is known."""
        with self._writing() as db:
            return tuple(_import_order(db, file, order) for order in orders)

    def log_error(self, file: ReceivedFile, message: str) -> None:
        """Notes a file of which nothing was imported."""
        with self._writing() as db:
            _log(db, file, "error", "", None, message)

    def imports(self) -> list[ImportRecord]:
        """The importer's log, oldest first."""
        with self._connection() as db:
            rows = db.execute("SELECT * FROM imports ORDER BY id").fetchall()
        return [ImportRecord(**{**dict(row), "at": datetime.fromisoformat(row["at"])}) for row in rows]

    def add_customer(self, number: str, card: Mapping[str, object]) -> Customer:
        """A new customer, whether or not the number is taken."""
        with self._writing() as db:
            new_id = _add_customer(db, number, card)
            return _customer(db.execute("SELECT * FROM customers WHERE id = ?", (new_id,)).fetchone())

    def customers(self) -> list[Customer]:
        """Every customer, by id."""
        with self._connection() as db:
            return [_customer(row) for row in db.execute("SELECT * FROM customers ORDER BY id")]

    def add_document(self, document: NewDocument) -> int:
        """The id of a new draft, made by the API. Nothing keeps a caller from making the same one twice."""
        with self._writing() as db:
            return _add_document(db, "api", document)

    def documents(
        self, wanted: Callable[[Draft], bool] = lambda _: True, *, offset: int = 0, limit: int | None = None
    ) -> tuple[list[Draft], int]:
        """Those documents that are wanted, by id, from `offset` on, and how many there are in all.

        `wanted` is asked before the items are read: it sees a document without items.
        """
        with self._connection() as db:
            found = [draft for row in db.execute(_DOCUMENTS) if wanted(draft := _draft(row))]
            page = found[offset : None if limit is None else offset + limit]
            return [replace(draft, items=_items(db, draft.id)) for draft in page], len(found)

    def finalise(self, document_id: int) -> None:
        """Makes a draft an invoice with a number, as a person does in EASY Bill."""
        with self._writing() as db:
            db.execute(
                "UPDATE documents SET is_draft = 0, edited_at = ?,"
                " number = coalesce(number, (SELECT 'RE-' || (1 + count(number)) FROM documents)) WHERE id = ?",
                (_now(), document_id),
            )

    def cancel(self, document_id: int) -> None:
        """Cancels an invoice, as a person does in EASY Bill: it stays, and names the document that cancels it."""
        with self._writing() as db:
            db.execute(
                "UPDATE documents SET edited_at = ?, details = json_set(details, '$.cancel_id', id + 1000000)"
                " WHERE id = ? AND NOT is_draft",
                (_now(), document_id),
            )

    def delete_document(self, document_id: int) -> None:
        """Shows the document no more; the number of its order stays taken, as after an import."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO deleted_documents VALUES (?, ?)", (document_id, _now()))

    def deleted(self) -> list[int]:
        """The documents that were deleted, in that order."""
        with self._connection() as db:
            return [row[0] for row in db.execute("SELECT document_id FROM deleted_documents ORDER BY at")]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Outside of a transaction, each statement sees one state of the file; on an error nothing is kept."""
        db = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        db.row_factory = sqlite3.Row
        try:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            yield db
        finally:
            db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")


def _import_order(db: sqlite3.Connection, file: ReceivedFile, order: IncomingOrder) -> OrderOutcome:
    known = db.execute(
        "SELECT document_id FROM orders WHERE order_number = ?", (order.order_number,)
    ).fetchone()
    if known:
        _log(
            db, file, "skipped", order.order_number, known["document_id"], "übersprungen: order number known"
        )
        return OrderOutcome(order.order_number, "skipped", known["document_id"])
    customer = db.execute(
        "SELECT min(id) AS id FROM customers WHERE number = ?", (order.customer_number,)
    ).fetchone()["id"]
    if customer is None:
        customer = _add_customer(db, order.customer_number, order.card)
    document_id = _add_document(db, "csv", replace(order.document, customer_id=customer))
    db.execute("INSERT INTO orders VALUES (?, ?)", (order.order_number, document_id))
    _log(db, file, "imported", order.order_number, document_id, "")
    return OrderOutcome(order.order_number, "imported", document_id)


def _log(
    db: sqlite3.Connection,
    file: ReceivedFile,
    outcome: str,
    order_number: str,
    document_id: int | None,
    message: str,
) -> None:
    db.execute(
        "INSERT INTO imports (at, file_name, sha256, size_bytes, outcome, order_number, document_id, message)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (_now(), file.name, file.sha256, file.size_bytes, outcome, order_number, document_id, message),
    )


def _add_customer(db: sqlite3.Connection, number: str, card: Mapping[str, object]) -> int:
    now = _now()
    cursor = db.execute(
        "INSERT INTO customers (number, card, created_at, updated_at) VALUES (?, ?, ?, ?)",
        (number, json.dumps(dict(card), ensure_ascii=False), now, now),
    )
    return _new_id(cursor)


def _add_document(db: sqlite3.Connection, origin: str, document: NewDocument) -> int:
    now = _now()
    cursor = db.execute(
        "INSERT INTO documents (origin, is_draft, order_number, customer_id, document_date, currency, basis,"
        " net, vat, gross, details, created_at, edited_at) VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            origin,
            document.order_number,
            document.customer_id,
            document.document_date.isoformat(),
            document.currency,
            document.basis,
            document.amounts.net,
            document.amounts.vat,
            document.amounts.gross,
            json.dumps(dict(document.details), ensure_ascii=False),
            now,
            now,
        ),
    )
    document_id = _new_id(cursor)
    db.executemany(
        "INSERT INTO items (document_id, position, type, number, description, quantity, unit, price, vat_percent,"
        " net, vat, gross, booking_account, export_cost_1, kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                document_id,
                position,
                item.type,
                item.number,
                item.description,
                str(item.quantity),
                item.unit,
                str(item.price),
                str(item.vat_percent),
                item.amounts.net,
                item.amounts.vat,
                item.amounts.gross,
                item.booking_account,
                item.export_cost_1,
                item.kind,
            )
            for position, item in enumerate(document.items, start=1)
        ),
    )
    return document_id


def _new_id(cursor: sqlite3.Cursor) -> int:
    if cursor.lastrowid is None:
        raise RuntimeError("SQLite gave no id for the row just inserted")
    return cursor.lastrowid


def _customer(row: sqlite3.Row) -> Customer:
    return Customer(
        id=row["id"],
        number=row["number"],
        card=json.loads(row["card"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
    )


def _draft(row: sqlite3.Row) -> Draft:
    """The document of a row, its items still to be read."""
    return Draft(
        id=row["id"],
        origin=row["origin"],
        is_draft=bool(row["is_draft"]),
        number=row["number"],
        order_number=row["order_number"],
        customer_id=row["customer_id"],
        customer_number=row["customer_number"],
        document_date=date.fromisoformat(row["document_date"]),
        currency=row["currency"],
        basis=row["basis"],
        amounts=Amounts(row["net"], row["vat"], row["gross"]),
        items=(),
        details=json.loads(row["details"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        edited_at=datetime.fromisoformat(row["edited_at"]),
    )


def _items(db: sqlite3.Connection, document_id: int) -> tuple[Item, ...]:
    rows = db.execute("SELECT * FROM items WHERE document_id = ? ORDER BY position", (document_id,))
    return tuple(
        Item(
            type=row["type"],
            number=row["number"],
            description=row["description"],
            quantity=Decimal(row["quantity"]),
            unit=row["unit"],
            price=Decimal(row["price"]),
            vat_percent=Decimal(row["vat_percent"]),
            amounts=Amounts(row["net"], row["vat"], row["gross"]),
            booking_account=row["booking_account"],
            export_cost_1=row["export_cost_1"],
            kind=row["kind"],
        )
        for row in rows
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
