"""The importer: takes the files of `/import`, makes drafts of their orders, and files them away.

A file whose every order is imported or skipped goes to `/archive`; one with a fault goes to `/error`, with
`NAME.report.txt` beside it, and nothing of it is imported. A name that begins with a dot or ends in `.tmp` is
none of its business.

The drafts of a file are committed before the file moves. Killed in between, the importer finds the file again,
knows its orders, reports them as skipped and archives it: never a second draft.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from billing_pipeline.sandbox.books import Books, IncomingOrder, OrderOutcome, ReceivedFile
from billing_pipeline.sandbox.custom_csv import Fault, Order, read_orders
from billing_pipeline.sandbox.drafts import TAX_OPTION, Item, NewDocument
from billing_pipeline.sandbox.receiver_amounts import Basis, document_amounts, line_amounts
from billing_pipeline.sandbox.sandbox_errors import SandboxError

REPORT_SUFFIX = ".report.txt"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file: its orders, or its faults."""

    file_name: str
    orders: tuple[OrderOutcome, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What one pass of the importer did, in the order of the file names."""

    files: tuple[FileReport, ...]

    @property
    def imported(self) -> tuple[str, ...]:
        """The order numbers of which drafts were made."""
        return self._orders("imported")

    @property
    def skipped(self) -> tuple[str, ...]:
        """The order numbers that were already there ("übersprungen")."""
        return self._orders("skipped")

    @property
    def refused(self) -> tuple[str, ...]:
        """The names of the files that went to `/error`."""
        return tuple(file.file_name for file in self.files if file.faults)

    def _orders(self, outcome: str) -> tuple[str, ...]:
        return tuple(
            order.order_number for file in self.files for order in file.orders if order.outcome == outcome
        )


class Importer:
    """Imports what lies in `files/import`; `basis` says what the account takes the price column for."""

    def __init__(self, files: Path, books: Books, *, basis: Basis = "gross") -> None:
        self._import, self._archive, self._error = (files / name for name in ("import", "archive", "error"))
        self._books = books
        self._basis = basis
        self._one_at_a_time = threading.Lock()
        for folder in (self._import, self._archive, self._error):
            folder.mkdir(parents=True, exist_ok=True)

    def import_now(self) -> ImportReport:
        """Imports every file that lies there, by name."""
        with self._one_at_a_time:
            return ImportReport(tuple(self._import_files()))

    def _import_files(self) -> Iterator[FileReport]:
        for path in sorted(self._import.iterdir()):
            if path.name.startswith(".") or path.name.endswith(".tmp") or not path.is_file():
                continue
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue  # the client took it back
            yield self._import_file(path, data)

    def _import_file(self, path: Path, data: bytes) -> FileReport:
        received = ReceivedFile(path.name, hashlib.sha256(data).hexdigest(), len(data))
        orders, faults = read_orders(data)
        if faults:
            report = "\n".join(map(str, faults)) + "\n"
            self._books.log_error(received, report)
            home = _free_name(self._error, path.name)
            home.with_name(home.name + REPORT_SUFFIX).write_text(report, encoding="utf-8")
            path.rename(home)
            return FileReport(path.name, (), faults)
        outcomes = self._books.import_orders(received, [self._incoming(order) for order in orders])
        path.rename(_free_name(self._archive, path.name))
        return FileReport(path.name, outcomes, ())

    def _incoming(self, order: Order) -> IncomingOrder:
        items = tuple(
            Item(
                type="POSITION",
                number=line.item_number or None,
                description=line.title,
                quantity=line.quantity,
                unit=None,
                price=line.price * 100,
                vat_percent=line.vat_percent,
                amounts=line_amounts(line.quantity, line.price * 100, line.vat_percent, self._basis),
            )
            for line in order.lines
        )
        cells = order.cells
        document = NewDocument(
            customer_id=None,
            order_number=order.order_number,
            document_date=order.purchase_date,
            currency=cells["currency"],
            basis=self._basis,
            items=items,
            amounts=document_amounts(((item.vat_percent, item.amounts) for item in items), self._basis),
            details={"type": "INVOICE", "vat_option": TAX_OPTION[cells["tax_type"]]},
        )
        return IncomingOrder(order.order_number, cells["customer_number"], _card(order), document)


def _card(order: Order) -> dict[str, object]:
    """The customer of an order as the API's customer."""
    cells = order.cells
    text = {
        "company_name": "name",
        "first_name": "firstname",
        "last_name": "lastname",
        "street": "street",
        "zip_code": "zipcode",
        "city": "city",
        "phone_1": "phone_number",
        "vat_identifier": "vat_id",
    }
    card: dict[str, object] = {field: cells[column] or None for field, column in text.items()}
    card |= {
        "tax_options": TAX_OPTION[cells["tax_type"]],
        "emails": [cells["email"]] if cells["email"] else [],
    }
    # These two are not nullable in the API's description: absent where there is nothing to say.
    card |= {field: cells[field] for field in ("country", "state") if cells[field]}
    return card


def _free_name(folder: Path, name: str) -> Path:
    """`name` in `folder`, or `name` with a number where an earlier file has it: nothing is overwritten."""
    for suffix in ("", *(f".{number}" for number in range(2, 10_000))):
        if not (path := folder / f"{name}{suffix}").exists():
            return path
    raise SandboxError(f"{folder} holds 9,999 files named {name}: empty it")
