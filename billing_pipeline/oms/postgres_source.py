"""Reads an OMS in PostgreSQL with COPY to CSV, parsed into Arrow without a Python object per cell.

That takes less than half the time of fetching rows, and the text is exact: numeric never passes through a float.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg2
import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import extensions, sql
from pyarrow import csv
from sqlalchemy.engine import URL

from billing_pipeline.oms.conform import instant_text, text_schema
from billing_pipeline.oms.contract import Relation
from billing_pipeline.oms.heads import head_of
from billing_pipeline.oms.oms_errors import OmsSettingWrong, OmsUnavailable, one_line
from billing_pipeline.oms.queries import Query
from billing_pipeline.oms.row_rules import FLOAT_MARK

_STATEMENT_TIMEOUT_S: Final = 600
_CONNECT_TIMEOUT_S: Final = 15
# A server that has gone is noticed after about a minute, even if the network drops everything.
_CONNECTION_DEFAULTS: Final[Mapping[str, object]] = {
    "application_name": "billing-pipeline",
    "connect_timeout": _CONNECT_TIMEOUT_S,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
# Arrow needs a whole row within one block.
_BLOCK_BYTES: Final = 64 * 1024 * 1024
_FLOAT_TYPES: Final = frozenset({700, 701})  # float4, float8 in pg_type
_TEXT_TYPES: Final = frozenset({25, 1043})  # text, varchar in pg_type
# SQLSTATE classes for a faulty query or faulty tables; all others mean that the server cannot be read.
_STATEMENT_FAULTS: Final = ("0A", "21", "22", "25", "26", "42")
_INSUFFICIENT_PRIVILEGE: Final = "42501"


class PostgresSource:
    """See `source.OmsSource`."""

    def __init__(self, url: URL, queries: Mapping[str, Query]) -> None:
        if not url.database:
            raise OmsSettingWrong("BILLING_OMS_URL names no database: write postgresql://user@host/oms")
        self._url = url.set(drivername="postgresql+psycopg2")
        self._queries = queries

    @contextmanager
    def snapshot(self) -> Iterator[_Snapshot]:
        """One REPEATABLE READ, READ ONLY transaction; see `source.OmsSource`."""
        arguments, options = self._url.get_dialect()().create_connect_args(self._url)
        try:
            connection: extensions.connection = psycopg2.connect(
                *arguments, **{**_CONNECTION_DEFAULTS, **options}
            )
        except psycopg2.Error as error:
            raise _unavailable(self._url, error) from error
        with closing(connection):
            try:
                connection.set_client_encoding("UTF8")
                connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
                with connection.cursor() as cursor:
                    cursor.execute(
                        f"SET LOCAL TIME ZONE 'UTC'; SET LOCAL statement_timeout = '{_STATEMENT_TIMEOUT_S}s'"
                    )
            except psycopg2.Error as error:
                raise _unavailable(self._url, error) from error
            yield _Snapshot(connection, self._url, self._queries)


@dataclass(frozen=True)
class _Snapshot:
    connection: extensions.connection
    url: URL
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
        parameters = {
            name: f"'{instant_text(instant)}'::timestamptz"
            for name, instant in (("period_start", start), ("period_end", end))
        }
        try:
            return self._copy(query, relation, sql.SQL(query.with_parameters(parameters)), ids)
        except psycopg2.Error as error:
            state = error.pgcode or ""
            if state == _INSUFFICIENT_PRIVILEGE:
                raise query.failed(f"{one_line(error)}: GRANT SELECT to this role") from error
            if state.startswith(_STATEMENT_FAULTS):
                raise query.failed(one_line(error)) from error
            raise _unavailable(self.url, error) from error
        except pa.ArrowInvalid as error:
            raise query.failed(f"its text cannot be read: {one_line(error)}") from error

    def _copy(
        self, query: Query, relation: Relation, select: sql.SQL, ids: Collection[str] | None
    ) -> pa.Table:
        text = io.BytesIO()
        with self.connection.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT * FROM (\n{}\n) AS relation LIMIT 0").format(select))
            description = cursor.description or ()
            query.validate_columns([column.name for column in description])
            types = {column.name: column.type_code for column in description}
            wanted = sql.SQL(", ").join(
                sql.Identifier(name) for name in relation.column_names if name in types
            )
            among = sql.SQL("") if ids is None else _among(relation.key[0], types, ids)
            cursor.copy_expert(
                sql.SQL("COPY (SELECT {} FROM (\n{}\n) AS relation{}) TO STDOUT (FORMAT csv, HEADER)").format(
                    wanted, select, among
                ),
                text,
            )
        floats = {name for name, type_code in types.items() if type_code in _FLOAT_TYPES}
        found = _parsed(relation, text)
        for index, name in enumerate(relation.column_names):
            if name not in types:
                found = found.add_column(index, name, pa.nulls(len(found), pa.string()))
        return _in_contract_notation(relation, found, floats)


def _among(column: str, types: Mapping[str, int], ids: Collection[str]) -> sql.Composable:
    """That the column is one of these texts, which are as COPY writes it."""
    name: sql.Composable = sql.Identifier(column)
    if types[column] not in _TEXT_TYPES:
        # A cast to text is not always what COPY writes: it cuts the blanks off a CHAR.
        name = sql.SQL("format('%s', {})").format(name)
    return sql.SQL(" WHERE {} = ANY({}::text[])").format(name, sql.Literal(list(ids)))


def _unavailable(url: URL, error: psycopg2.Error) -> OmsUnavailable:
    # Without the options after the question mark, which may be secret too.
    shown = URL.create(url.drivername, url.username, host=url.host, port=url.port, database=url.database)
    return OmsUnavailable(
        f"OMS: {shown.render_as_string()} cannot be read ({one_line(error, url)});"
        " check BILLING_OMS_URL and the server"
    )


def _parsed(relation: Relation, text: io.BytesIO) -> pa.Table:
    return csv.read_csv(
        pa.BufferReader(text.getbuffer()),
        read_options=csv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        # COPY writes an empty text as "" and NULL as nothing.
        convert_options=csv.ConvertOptions(
            column_types=text_schema(relation),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _in_contract_notation(relation: Relation, table: pa.Table, floats: Collection[str]) -> pa.Table:
    """Instants with Z instead of +00, decimals from float columns (`floats`) marked as floats."""
    for index, column in enumerate(relation.columns):
        cells = table.column(index)
        if pa.types.is_timestamp(column.type):
            cells = pc.replace_substring_regex(cells, r"\+00$", "Z")
        elif pa.types.is_decimal(column.type) and column.name in floats:
            cells = pc.binary_join_element_wise(cells, FLOAT_MARK, "")
        else:
            continue
        table = table.set_column(index, column.name, cells)
    return table
