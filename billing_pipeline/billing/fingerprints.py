"""Fingerprints: what an OMS row said when it was billed, in 64 characters.

Belongs here: how the billing-relevant cells of a row become a fingerprint. A fingerprint is kept in the ledger, so
this may not change without a migration. Status is no part of it: an OMS may mark what has been billed.
"""

from __future__ import annotations

from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.billing.arrow import TEXT

# A character that no legal text holds.
_BETWEEN_CELLS = "\x1f"


def cells_text(*cells: pa.Array, between: str = _BETWEEN_CELLS) -> pa.Array:
    """The cells of each row as one text, exact for legal values; instants as microseconds UTC, null like an empty text,
    which says the same on an invoice.
    """
    texts = [_as_text(column).fill_null("") for column in cells]
    return pc.binary_join_element_wise(*texts, between)


def fingerprints(*cells: pa.Array) -> pa.Array:
    """The SHA-256 (hex) of each row's cells."""
    return pa.array([sha256(text.encode()).hexdigest() for text in cells_text(*cells).to_pylist()], TEXT)


def _as_text(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return column.cast(TEXT)
