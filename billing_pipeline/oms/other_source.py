"""The OMS in any other database that SQLAlchemy speaks to: rows are fetched, and written as text.

Tried only on SQLAlchemy's own terms, not against each server; so nothing here is particular to one. A dialect
that cannot hold a snapshot over several queries is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa
from sqlalchemy import Connection, DateTime, Engine, bindparam, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from billing_pipeline.oms.cells import table_of_rows
from billing_pipeline.oms.contract import Relation
from billing_pipeline.oms.oms_errors import OmsSettingWrong, OmsUnavailable, one_line
from billing_pipeline.oms.queries import Query

# In order of preference: the first two keep a snapshot without locking out writers.
_ISOLATION_LEVELS: Final = ("SNAPSHOT", "REPEATABLE READ", "SERIALIZABLE")


class OtherSource:
    """See `source.OmsSource`."""

    def __init__(self, url: URL, queries: Mapping[str, Query]) -> None:
        self._engine = _engine(url)
        self._queries = queries

    @contextmanager
    def snapshot(self) -> Iterator[_Snapshot]:
        """One transaction, at the first isolation level of ours that the dialect offers; see `OmsSource`."""
        try:
            connection = self._engine.connect()
        except SQLAlchemyError as error:
            raise _unavailable(self._engine, error) from None
        with connection, self._isolated(connection).begin():
            yield _Snapshot(connection, self._queries)

    def _isolated(self, connection: Connection) -> Connection:
        for level in _ISOLATION_LEVELS:
            with suppress(ArgumentError):
                return connection.execution_options(isolation_level=level)
        raise OmsSettingWrong(
            f"BILLING_OMS_URL: {self._engine.dialect.name} offers no snapshot over several queries"
        )


@dataclass(frozen=True)
class _Snapshot:
    connection: Connection
    queries: Mapping[str, Query]

    def read(self, relation: Relation, start: datetime, end: datetime) -> pa.Table:
        query = self.queries[relation.name]
        sql = query.written(":{}".format)
        instants = {"period_start": start, "period_end": end}
        bound = [
            bindparam(name, instant, DateTime(timezone=True))
            for name, instant in instants.items()
            if f":{name}" in sql
        ]
        try:
            result = self.connection.execute(text(sql).bindparams(*bound))
            names = list(result.keys()) if result.returns_rows else []
            query.prove_columns(names)
            return table_of_rows(relation, names, result.all())
        except OperationalError as error:
            raise _unavailable(self.connection.engine, error) from None
        except SQLAlchemyError as error:
            raise query.failed(one_line(_said(error))) from None


def _engine(url: URL) -> Engine:
    try:
        return create_engine(url, poolclass=NullPool, hide_parameters=True)
    except NoSuchModuleError:
        raise OmsSettingWrong(
            f"BILLING_OMS_URL: there is no database dialect {url.drivername!r}; use sqlite or postgresql"
        ) from None
    except ImportError as error:
        raise OmsSettingWrong(
            f"BILLING_OMS_URL: the driver of {url.drivername!r} is not installed (package {error.name})"
        ) from None


def _unavailable(engine: Engine, error: SQLAlchemyError) -> OmsUnavailable:
    url = engine.url
    return OmsUnavailable(
        f"OMS: {url.drivername} at {url.host or url.database} cannot be read ({one_line(_said(error), url)});"
        " check BILLING_OMS_URL"
    )


def _said(error: SQLAlchemyError) -> BaseException:
    """What the driver said; SQLAlchemy's own words add the statement to it."""
    return getattr(error, "orig", None) or error
