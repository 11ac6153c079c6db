"""How far a long step is: a bar on a terminal, plain lines without one. Written to stderr, never to stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Item = TypeVar("Item")


class Steps:
    """Long steps of one command, one after another."""

    def __init__(self, stream: TextIO, bars: Progress | None) -> None:
        self._stream = stream
        self._bars = bars

    def say(self, line: str) -> None:
        """A line of its own."""
        if self._bars is not None:
            self._bars.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=self._stream, flush=True)

    def over(self, items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
        """The same items, one by one, counted as they go by."""
        done = 0
        task = self._bars.add_task(what, total=total) if self._bars is not None else None
        for item in items:
            yield item
            done += 1
            if self._bars is not None and task is not None:
                self._bars.advance(task)
        if self._bars is None:
            self.say(f"{what}: {done} of {total}")


@contextmanager
def progress_on(stream: TextIO = sys.stderr) -> Iterator[Steps]:
    """Progress on this stream: bars where it is a terminal."""
    if not stream.isatty():
        yield Steps(stream, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=stream), transient=False) as bars:
        yield Steps(stream, bars)
