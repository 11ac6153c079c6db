"""Reads an OMS in a SQLite file, opened read-only.

SQLite stores a type with each value, not with the column: so text is exact, and a float can be told from a decimal.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
from sqlalchemy.engine import URL

from billing_pipeline.oms.conform import decode, instant_text, table_of_rows
from billing_pipeline.oms.contract import Relation
from billing_pipeline.oms.heads import head_of
from billing_pipeline.oms.oms_errors import OmsSettingWrong, OmsUnavailable, one_line
from billing_pipeline.oms.queries import Query

_BUSY_TIMEOUT_S: Final = 30.0
# Result codes for a faulty (or writing) statement; all others mean that the database cannot be read.
_STATEMENT_FAULTS: Final = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_RANGE)


class SqliteSource:
    """See `source.OmsSource`."""

    def __init__(self, url: URL, queries: Mapping[str, Query]) -> None:
        if not url.database or url.database == ":memory:":
            raise OmsSettingWrong("BILLING_OMS_URL names no SQLite file: write sqlite:///path/to/oms.db")
        self._file = Path(url.database)
        self._queries = queries

    @contextmanager
    def snapshot(self) -> Iterator[_Snapshot]:
        """One read transaction; see `source.OmsSource`."""
        if not self._file.is_file():
            raise OmsUnavailable(
                f"OMS: there is no SQLite database at {self._file}; correct BILLING_OMS_URL, or create it"
            )
        try:
            connection = sqlite3.connect(
                f"{self._file.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=_BUSY_TIMEOUT_S,
                isolation_level=None,
            )
        except sqlite3.Error as error:
            raise _unavailable(self._file, error) from error
        with closing(connection):
            # SQLite takes its snapshot at the first read and keeps it until the transaction ends.
            connection.execute("BEGIN")
            yield _Snapshot(connection, self._file, self._queries)


@dataclass(frozen=True)
class _Snapshot:
    connection: sqlite3.Connection
    file: Path
    queries: Mapping[str, Query]

    def read(self, relation: Relation, start: datetime, end: datetime) -> pa.Table:
        return self._read(relation, start, end)

    def heads(self, relation: Relation, start: datetime, end: datetime) -> pa.Table:
        return self._read(head_of(relation), start, end)

    def read_ids(self, relation: Relation, start: datetime, end: datetime, ids: Collection[str]) -> pa.Table:
        return self._read(relation, start, end, ids)

    def _read(
        self, relation: Relation, start: datetime, end: datetime, ids: Collection[str] | None = None
    ) -> pa.Table:
        query = self.queries[relation.name]
        try:
            return self._fetch(query, relation, start, end, ids)
        except sqlite3.Error as error:
            # Errors of the Python module itself (an unbound parameter, two statements) have no result code.
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _STATEMENT_FAULTS:
                raise query.failed(one_line(error)) from error
            raise _unavailable(self.file, error) from error

    def _fetch(
        self, query: Query, relation: Relation, start: datetime, end: datetime, ids: Collection[str] | None
    ) -> pa.Table:
        bound = {"period_start": instant_text(start), "period_end": instant_text(end)}
        select = query.with_parameters({name: f":{name}" for name in bound})
        sql = select
        if ids is not None:
            # As text: a column may hold numbers, and all of them are read as text.
            sql = (
                f"SELECT * FROM (\n{select}\n) AS relation WHERE CAST({relation.key[0]} AS TEXT) IN"  # noqa: S608
                " (SELECT value FROM json_each(:wanted_ids))"
            )
            bound["wanted_ids"] = json.dumps(list(ids))
        elif relation != query.relation:
            columns = ", ".join(relation.column_names)
            sql = f"SELECT {columns} FROM (\n{select}\n) AS relation"  # noqa: S608
        cursor = self.connection.execute(sql, bound)
        names = [column[0] for column in cursor.description or ()]
        if relation == query.relation:
            query.validate_columns(names)
        try:
            return table_of_rows(relation, names, cursor)
        except sqlite3.OperationalError as error:
            if "decode to UTF-8" not in str(error):
                raise
        # Decoding in Python takes as long as all the rest, so it is done only where needed.
        self.connection.text_factory = decode
        return table_of_rows(relation, names, self.connection.execute(sql, bound))


def _unavailable(file: Path, error: sqlite3.Error) -> OmsUnavailable:
    return OmsUnavailable(
        f"OMS: the SQLite database {file} cannot be read ({one_line(error)}); check BILLING_OMS_URL and the file"
    )
