"""How a run takes memory and gives it back: Arrow, in whose columns a month is, and Python's own collector."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from typing import Final

import pyarrow as pa

_OBJECTS_BETWEEN_COLLECTIONS: Final = 20_000


def suit_memory_to_months() -> None:
    """From now on, memory is taken and looked through as suits hundreds of thousands of rows."""
    _give_freed_memory_back()
    _collect_less_often()


def _give_freed_memory_back() -> None:
    """Arrow takes its memory by jemalloc, where its build has it and nobody has chosen otherwise.

    Its own choice, mimalloc, keeps what is freed, and so does jemalloc for a second: a run of 200,000 lines then took
    150 MB more at its peak.
    """
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        with suppress(NotImplementedError):
            pa.set_memory_pool(pa.jemalloc_memory_pool())
            pa.jemalloc_set_decay_ms(0)


def _collect_less_often() -> None:
    """Python looks for garbage that refers to itself after 20,000 new objects (its own choice: 700).

    Where a month's rows pass through Python, hardly anything is such garbage: a tenth of a run went into looking.
    """
    if 0 < gc.get_threshold()[0] < _OBJECTS_BETWEEN_COLLECTIONS:
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])
