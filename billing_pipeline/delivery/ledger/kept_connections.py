"""Connections that a pool keeps open, tried before use where there is doubt; it costs the others no round trip."""

from __future__ import annotations

import select
import time
from typing import Any, Final

import sqlalchemy as sa

_IN_USE_S: Final = 5.0
_USED_AT: Final = "billing_pipeline_used_at"


def try_where_in_doubt(engine: sa.Engine) -> None:
    """On PostgreSQL, what `pool_pre_ping` promises: a restarted server, or a connection that was ended, costs nothing.

    A server that ends a connection says so: then something lies there to be read. One that has just been used and says
    nothing is taken as it is; any other one is asked.
    """

    @sa.event.listens_for(engine, "checkout")
    def try_it(connection: Any, record: Any, _fairy: object) -> None:
        used_at = record.info.get(_USED_AT)
        if used_at is None or (time.monotonic() - used_at < _IN_USE_S and not _has_spoken(connection)):
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            # The pool puts a new one in its place.
            raise sa.exc.DisconnectionError("the kept connection was lost") from error

    @sa.event.listens_for(engine, "checkin")
    def note(_connection: object, record: Any) -> None:
        record.info[_USED_AT] = time.monotonic()


def _has_spoken(connection: Any) -> bool:
    """Whether the server has said something unasked, or hung up."""
    if connection.closed:
        return True
    line = select.poll()
    line.register(connection.fileno(), select.POLLIN)
    return bool(line.poll(0))
