"""Opens the OMS for a URL and reads its four relations as text, all in one snapshot.

Only reads: a read-only role is enough. SQLite and PostgreSQL each have a module of their own.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from billing_pipeline.oms.contract import Relation
from billing_pipeline.oms.oms_errors import OmsSettingWrong
from billing_pipeline.oms.queries import load_queries


class Snapshot(Protocol):
    """The OMS at one moment: every read sees the same rows, whatever is written meanwhile."""

    def read(self, relation: Relation, start: datetime, end: datetime) -> pa.Table:
        """The relation's rows with `start <= instant < end` (UTC), in any order; all columns are strings.

        Raises OmsShapeWrong or OmsUnavailable.
        """

    def heads(self, relation: Relation, start: datetime, end: datetime) -> pa.Table:
        """Of the same rows, the columns of `heads.head_of(relation)` alone. Raises the errors of `read`."""

    def read_ids(self, relation: Relation, start: datetime, end: datetime, ids: Collection[str]) -> pa.Table:
        """Those of the same rows whose first key column is one of `ids`, however many. Raises the errors of `read`."""


class OmsSource(Protocol):
    """A database with the four relations, or with queries that yield them."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Connects, and keeps one snapshot until the `with` block ends. Raises OmsUnavailable."""


def open_source(url: str, queries: Path | None = None) -> OmsSource:
    """The OMS at `url` (a SQLAlchemy URL), read with the queries in the folder `queries` or the packaged ones.

    Does not connect yet. Raises OmsSettingWrong for a URL that cannot be used, OmsShapeWrong for a missing query file.
    """
    # The drivers are imported only here: the command line starts faster without them.
    from billing_pipeline.oms.postgres_source import PostgresSource
    from billing_pipeline.oms.sqlite_source import SqliteSource

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # SQLAlchemy's own message might repeat the URL, password and all.
        raise OmsSettingWrong(
            "BILLING_OMS_URL is not a SQLAlchemy URL: write, for example, postgresql://user@host/oms"
        ) from None
    if "@" in (parsed.host or ""):
        raise OmsSettingWrong("BILLING_OMS_URL: write an @ in the password as %40, a slash as %2F")
    database = parsed.get_backend_name()
    if database == "sqlite":
        return SqliteSource(parsed, load_queries(database, queries))
    if database == "postgresql":
        return PostgresSource(parsed, load_queries(database, queries))
    raise OmsSettingWrong(
        f"BILLING_OMS_URL: {database!r} is not supported: use postgresql or sqlite, or copy the four relations of"
        " your OMS into one of them"
    )
