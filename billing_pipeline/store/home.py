"""First use of a home: one process at a time makes what several may need at once.

Dagster's SQLite migrations leave a home broken for good when two processes run them on an empty home
together; ours would merely fail. Both, and the demo's database, are therefore made behind this file lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from billing_pipeline.problems import PipelineError


class HomeUnavailable(PipelineError):
    """The home cannot be created, written or locked."""


def owned_by_us(folder: Path) -> None:
    """Make the folder, or take it away from everybody but its owner: it holds personal data. Raises: OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        # On a mounted volume it may belong to somebody else, who has seen to it.
        with suppress(PermissionError):
            folder.chmod(0o700)


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
        owned_by_us(path.parent)
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
