"""How Arrow, in whose columns a month is, takes memory from the system and gives it back."""

from __future__ import annotations

import os
from contextlib import suppress

import pyarrow as pa


def give_freed_memory_back() -> None:
    """From now on, Arrow takes its memory by jemalloc, where its build has it and nobody has chosen otherwise.

    Its own choice, mimalloc, keeps what is freed, and so does jemalloc for a second: a run of 200,000 lines then took
    150 MB more at its peak.
    """
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        with suppress(NotImplementedError):
            pa.set_memory_pool(pa.jemalloc_memory_pool())
            pa.jemalloc_set_decay_ms(0)
