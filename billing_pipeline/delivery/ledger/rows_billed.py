"""Questions about the OMS rows and adjustments that deliveries bill."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from billing_pipeline.delivery.ledger.database import Database
from billing_pipeline.delivery.ledger.deliveries import IS_COMMITTED
from billing_pipeline.delivery.ledger.planned_rows import is_among
from billing_pipeline.delivery.ledger.tables import billed_rows, deliveries
from billing_pipeline.delivery.records import RowInFile

# They take a second to load, and most who ask the ledger, such as `status`, want no columns.
if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_BILLED = (
    sa.select(
        billed_rows.c.source_kind,
        billed_rows.c.source_id,
        billed_rows.c.fingerprint,
        billed_rows.c.customer_number,
        billed_rows.c.month,
        deliveries.c.month.label("delivery_month"),
        deliveries.c.order_number,
        IS_COMMITTED.label("committed"),
    )
    .join(deliveries, deliveries.c.id == billed_rows.c.delivery_id)
    .where(billed_rows.c.released_at.is_(None))
)
_BILLED_FOR_GOOD = _BILLED.where(IS_COMMITTED).with_only_columns(
    billed_rows.c.source_kind,
    billed_rows.c.source_id,
    billed_rows.c.customer_number,
    deliveries.c.month,
    billed_rows.c.month,
    deliveries.c.order_number,
    billed_rows.c.fingerprint,
    billed_rows.c.accepted,
)
"""In the order of `billing.late.BILLED`."""

_ROWS_PER_PORTION: Final = 10_000


def _portions_of_ids(ids: pa.Array) -> Iterator[list[str]]:
    """Some at a time: as Python's texts, the ids of a month take ten times the memory that they have in a column."""
    for start in range(0, len(ids), _ROWS_PER_PORTION):
        yield ids[start : start + _ROWS_PER_PORTION].to_pylist()


class BilledRows:
    """Questions about billed rows, each answered from one transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def rows(self, months: Collection[str]) -> list[RowInFile]:
        """The rows of these months (their own) that a delivery bills, of whatever month; by kind and id."""
        query = _BILLED.where(billed_rows.c.month.in_(months)).order_by(
            billed_rows.c.source_kind, billed_rows.c.source_id
        )
        with self._db.reading() as connection:
            return [RowInFile(**row._mapping) for row in connection.execute(query)]

    def sources(self, months: Collection[str], ids: Mapping[str, Sequence[str] | pa.Array]) -> pd.DataFrame:
        """What is billed for good, as the frame of `billing.late.BilledSource`; no row twice.

        The rows of these months (their own), and, of whatever month, those of the `ids`, by source kind. In columns,
        and a portion at a time: a year of a large customer base is millions of rows.
        """
        import pandas as pd
        import pyarrow as pa
        import pyarrow.compute as pc

        from billing_pipeline.billing.late import BILLED

        of_months = billed_rows.c.month.in_(months)

        def found_by(connection: sa.Connection, *condition: sa.ColumnElement[bool]) -> Iterator[pa.Table]:
            query = _BILLED_FOR_GOOD.where(*condition).execution_options(yield_per=_ROWS_PER_PORTION)
            for rows in connection.execute(query).partitions():
                columns = zip(*rows, strict=True)
                yield pa.table([pa.array(column, pa.string()) for column in columns], schema=BILLED)

        with self._db.reading() as connection:
            own = [BILLED.empty_table(), *(found_by(connection, of_months) if months else ())]
            known = pa.concat_tables(own)
            parts = [known]
            for kind, of_kind in ids.items():
                # Of the rows of these months, few are left to be asked for one by one: those that nothing bills.
                wanted = pc.unique(
                    of_kind if isinstance(of_kind, pa.Array) else pa.array(of_kind, pa.string())
                )
                named = known["source_id"].filter(pc.equal(known["source_kind"], kind))
                for portion in _portions_of_ids(wanted.filter(pc.invert(pc.is_in(wanted, named)))):
                    among = is_among(billed_rows.c.source_id, portion, self._db.engine.dialect)
                    parts += found_by(connection, billed_rows.c.source_kind == kind, ~of_months, among)
        frame: pd.DataFrame = pa.concat_tables(parts).to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def late_rows(self, month: str) -> list[RowInFile]:
        """The rows of other months, adjustments among them, that what stands of this month bills; by customer."""
        query = _BILLED.where(
            deliveries.c.month == month, billed_rows.c.month != month, IS_COMMITTED
        ).order_by(billed_rows.c.customer_number, billed_rows.c.month, billed_rows.c.source_id)
        with self._db.reading() as connection:
            return [RowInFile(**row._mapping) for row in connection.execute(query)]

    def rows_by(self, month: str) -> dict[str, list[tuple[str, str]]]:
        """(kind, id) of the rows that deliveries of this month bill, by the rows' own month, without adjustments."""
        query = (
            sa.select(billed_rows.c.month, billed_rows.c.source_kind, billed_rows.c.source_id)
            .join(deliveries, deliveries.c.id == billed_rows.c.delivery_id)
            .where(
                deliveries.c.month == month,
                billed_rows.c.month != month,
                billed_rows.c.released_at.is_(None),
                billed_rows.c.source_kind != "adjustment",
            )
        )
        found: dict[str, list[tuple[str, str]]] = {}
        with self._db.reading() as connection:
            for own, kind, source_id in connection.execute(query):
                found.setdefault(own, []).append((kind, source_id))
        return found

    def ids_of(self, month: str) -> dict[str, pa.Array]:
        """By source kind, the ids of the month's own rows that are billed for good."""
        import pyarrow as pa
        import pyarrow.compute as pc

        query = (
            _BILLED_FOR_GOOD.where(billed_rows.c.month == month)
            .with_only_columns(billed_rows.c.source_kind, billed_rows.c.source_id)
            .execution_options(yield_per=_ROWS_PER_PORTION)
        )
        found = {"kind": [pa.array([], pa.string())], "id": [pa.array([], pa.string())]}
        with self._db.reading() as connection:
            for rows in connection.execute(query).partitions():
                for name, column in zip(found, zip(*rows, strict=True), strict=True):
                    found[name].append(pa.array(column, pa.string()))
        kinds, ids = (pa.concat_arrays(arrays) for arrays in found.values())
        return {kind: ids.filter(pc.equal(kinds, kind)) for kind in pc.unique(kinds).to_pylist()}

    def count(self, months: Collection[str]) -> int:
        """How many rows that have one of these months as their own are billed for good."""
        query = _BILLED_FOR_GOOD.where(billed_rows.c.month.in_(months)).with_only_columns(sa.func.count())
        with self._db.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def with_other_months(self, month: str) -> set[tuple[str, str]]:
        """(kind, id) of the rows of this month that the file of another month bills for good."""
        query = _BILLED_FOR_GOOD.with_only_columns(billed_rows.c.source_kind, billed_rows.c.source_id).where(
            billed_rows.c.month == month, deliveries.c.month != month
        )
        with self._db.reading() as connection:
            return {(row[0], row[1]) for row in connection.execute(query)}
