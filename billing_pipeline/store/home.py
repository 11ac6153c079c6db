"""First use of a home: one process at a time makes what several may need at once.

Dagster's SQLite migrations leave a home broken for good when two processes run them on an empty home
together; ours would merely fail. Both, and the demo's database, are therefore made behind this file lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from billing_pipeline.problems import PipelineError


class HomeUnavailable(PipelineError):
    """The home cannot be created, written or locked."""


@contextmanager
def first_use(home: Path, *, timeout_s: float = 120.0) -> Iterator[None]:
    """Hold the home's lock, creating the folder if need be; it is free again when the process dies, however.

    Raises: HomeUnavailable.
    """
    with locked(home / ".first-use.lock", timeout_s=timeout_s):
        yield


@contextmanager
def locked(path: Path, *, timeout_s: float) -> Iterator[None]:
    """Hold an exclusive lock on `path`, whose folder is made if need be. Raises: HomeUnavailable."""
    lock = FileLock(path, timeout=timeout_s)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise HomeUnavailable(
            f"{path} has been locked by another process for {timeout_s:.0f} s; wait for it or end it"
        ) from error
    except OSError as error:
        raise HomeUnavailable(
            f"{path.parent} cannot be written: {error.strerror}; check BILLING_HOME"
        ) from error
    try:
        yield
    finally:
        lock.release()
