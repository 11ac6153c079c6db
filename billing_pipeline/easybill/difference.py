"""What has changed between the document that was delivered and the one that a run has just made; for people.

Pure: two documents in, words out. Whether a difference holds a delivery is decided in `machine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from billing_pipeline.easybill.document import Document, DocumentLine
from billing_pipeline.money import format_minor, format_number

# Not said of each line: the position follows from the lines before it, file columns and VAT from the others.
_COMPARED = (
    "item_number",
    "title",
    "quantity",
    "unit",
    "unit_price_net",
    "vat_basis_points",
    "performed_on",
    "net",
)
_IN_WORDS = {
    "item_number": "article",
    "unit_price_net": "unit price (net)",
    "vat_basis_points": "VAT",
    "performed_on": "date",
}
_HEAD = ("currency", "price_basis", "purchase_date", "order_number", "file_name")


@dataclass(frozen=True, slots=True)
class LineDifference:
    """One line that is new (`before` None), gone (`after` None), or changed in `fields`."""

    before: DocumentLine | None
    after: DocumentLine | None
    fields: tuple[str, ...] = ()

    @property
    def change(self) -> Literal["added", "removed", "changed"]:
        """What happened to the line."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    def text(self, before: str, after: str, language: str) -> str:
        """For example "line 2 (Battery change): net 150.00 EUR → 160.00 EUR", as people of `language` write it.

        `before`, `after`: the currencies of the two documents.
        """
        if self.before is None and self.after is not None:
            return f"new: {_named(self.after)}, net {format_minor(self.after.net, after, language)}"
        if self.after is None and self.before is not None:
            return f"gone: {_named(self.before)}, net {format_minor(self.before.net, before, language)}"
        line = self.after or self.before
        changes = ", ".join(
            f"{_IN_WORDS.get(field, field)} {_value(self.before, field, before, language)} → "
            f"{_value(self.after, field, after, language)}"
            for field in self.fields
        )
        return f"{_named(line)}: {changes}" if line is not None else changes


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs: `lines`, and the names of other fields of the document (`customer.street`)."""

    before: Document
    after: Document
    lines: tuple[LineDifference, ...]
    fields: tuple[str, ...]

    def totals(self, language: str) -> str:
        """For example "net 150.00 EUR → 160.00 EUR, gross 178.50 EUR → 190.40 EUR", for `language`."""
        old, new = self.before, self.after
        totals = [
            f"{name} {format_minor(getattr(old, name), old.currency, language)} → "
            f"{format_minor(getattr(new, name), new.currency, language)}"
            for name in ("net", "gross")
            if (getattr(old, name), old.currency) != (getattr(new, name), new.currency)
        ]
        return ", ".join(totals) or "the totals are the same"

    @property
    def is_of_words(self) -> bool:
        """Whether nothing but titles differ, of lines that come from the very same rows."""
        return not self.fields and all(
            line.fields == ("title",)
            and line.before is not None
            and line.after is not None
            and [source.fingerprint for source in line.before.sources]
            == [source.fingerprint for source in line.after.sources]
            for line in self.lines
        )

    def line_text(self, line: LineDifference, language: str) -> str:
        """One of the `lines`, with the currencies of the two documents."""
        return line.text(self.before.currency, self.after.currency, language)

    def text(self, language: str) -> str:
        """One line: the totals first, then each line of the document, then the other fields."""
        parts = [self.totals(language), *(self.line_text(line, language) for line in self.lines)]
        if self.fields:
            parts.append(f"also changed: {', '.join(self.fields)}")
        return "; ".join(parts)


def difference(before: Document, after: Document) -> Difference:
    """What differs between two documents of one customer's month.

    Lines are the same line if they came from the same rows; what `after` has first comes first.
    """
    old = {_origin(line): line for line in before.lines}
    new = {_origin(line): line for line in after.lines}
    found = [
        LineDifference(old.get(origin), line, _changed(old.get(origin), line))
        for origin, line in new.items()
        if origin not in old or _changed(old[origin], line)
    ]
    found += [LineDifference(line, None) for origin, line in old.items() if origin not in new]
    fields = [name for name in _HEAD if getattr(before, name) != getattr(after, name)]
    fields += [
        f"customer.{name}"
        for name in sorted({*before.customer, *after.customer})
        if before.customer.get(name, "") != after.customer.get(name, "")
    ]
    return Difference(before, after, tuple(found), tuple(fields))


def _origin(line: DocumentLine) -> tuple[str, ...]:
    return (line.line_type, *(source.source_id for source in line.sources))


def _changed(before: DocumentLine | None, after: DocumentLine) -> tuple[str, ...]:
    if before is None:
        return ()
    return tuple(field for field in _COMPARED if getattr(before, field) != getattr(after, field))


def _named(line: DocumentLine) -> str:
    return f"line {line.position} ({line.title.partition(chr(10))[0]})"


def _value(line: DocumentLine | None, field: str, currency: str, language: str) -> str:
    value = getattr(line, field)
    if field in {"net", "unit_price_net"}:
        return format_minor(value, currency, language)
    if field == "vat_basis_points":
        return f"{format_number(Decimal(value).scaleb(-2), language)} %"
    if field == "quantity":
        return format_number(value, language)
    return str(value).replace("\n", " / ")
