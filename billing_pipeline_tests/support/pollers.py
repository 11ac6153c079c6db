"""Receivers that take files up the moment they see them, and keep a log of their own: the judge of every delivery.

A real importer polls its inbox, takes every name that it does not ignore, and archives, deletes or leaves what it
took. These do so as fast as they can, in a process of their own, so that a file is torn, doubled or lost before
their eyes and not only in our books. Nothing here knows the ledger.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Literal

Conduct = Literal["archive", "delete", "ignore", "reject"]


@dataclass(frozen=True)
class Watch:
    """One inbox and what becomes of its files; `archive` (or the error directory, for "reject") is where they go."""

    inbox: Path
    conduct: Conduct
    archive: Path | None = None


@dataclass(frozen=True)
class Seen:
    """One file that a receiver took up under its final name: what the receiver would have imported."""

    inbox: str
    name: str
    sha256: str
    size: int
    inode: int
    modified_ns: int


@contextmanager
def polling(watches: Sequence[Watch], log: Path, context: ForkServerContext) -> Iterator[None]:
    """Polls until the end of the block, looks once more, and ends."""
    stop = log.with_suffix(".stop")
    log.touch()
    process = context.Process(target=poll, args=(list(watches), log, stop), name="pollers", daemon=True)
    process.start()
    try:
        yield
    finally:
        stop.touch()
        process.join(30)
        stop.unlink()
        if process.exitcode != 0:
            process.kill()
            raise RuntimeError("the receivers did not come to their end: what they saw is no judgement")


def seen_by(log: Path) -> list[Seen]:
    """What the receivers saw so far, in order."""
    return [Seen(**json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]


def poll(watches: list[Watch], log: Path, stop: Path) -> None:
    """Looks at every inbox, again and again, until `stop` exists; then once more."""
    known: set[tuple[int, int, int]] = set()
    with log.open("a", encoding="utf-8", buffering=1) as output:
        last = False
        while True:
            begin = time.monotonic()
            for watch in watches:
                for path in _final_names(watch.inbox):
                    try:
                        seen = _take(watch, path, known)
                    except FileNotFoundError:  # its sender has taken it away again
                        continue
                    if seen is not None:
                        output.write(json.dumps(asdict(seen)) + "\n")
            if last:
                return
            last = stop.exists()
            # Half of the time at most, for there may be thousands of files to look at.
            time.sleep(max(0.001, time.monotonic() - begin))


def _final_names(inbox: Path) -> list[Path]:
    """What a receiver takes up: not what begins with a dot or ends in `.tmp`."""
    with os.scandir(inbox) as entries:
        return [
            Path(entry.path)
            for entry in entries
            if not entry.name.startswith(".") and not entry.name.endswith(".tmp")
        ]


def _take(watch: Watch, path: Path, known: set[tuple[int, int, int]]) -> Seen | None:
    """Moves the file out of the inbox in one step, as its conduct says, and only then reads what it got."""
    if watch.conduct == "ignore":
        status = path.stat()
        identity = (status.st_ino, status.st_size, status.st_mtime_ns)
        if identity in known:
            return None
        known.add(identity)
        return _seen(watch, path, path.name)
    if watch.archive is None:
        taken = watch.inbox.parent / f".taken-{secrets.token_hex(8)}"
    else:
        taken = watch.archive / path.name
        if taken.exists():
            taken = watch.archive / f"{path.name}.{secrets.token_hex(4)}"
    path.rename(taken)
    seen = _seen(watch, taken, path.name)
    if watch.conduct == "delete":
        taken.unlink()
    return seen


def _seen(watch: Watch, path: Path, name: str) -> Seen:
    data = path.read_bytes()
    status = path.stat()
    sha256 = hashlib.sha256(data).hexdigest()
    return Seen(watch.conduct, name, sha256, len(data), status.st_ino, status.st_mtime_ns)
