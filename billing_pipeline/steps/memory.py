"""How a run takes memory and gives it back."""

from __future__ import annotations

import os
from contextlib import suppress

import pyarrow as pa

from billing_pipeline.collector import collect_less_often


def suit_memory_to_months() -> None:
    """From now on, memory is taken and looked through as suits hundreds of thousands of rows."""
    _give_freed_memory_back()
    collect_less_often()


def _give_freed_memory_back() -> None:
    """Arrow takes its memory by jemalloc, where its build has it and nobody has chosen otherwise.

    Its own choice, mimalloc, keeps what is freed, and so does jemalloc for a second: a run of 200,000 lines then took
    150 MB more at its peak.
    """
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        with suppress(NotImplementedError):
            pa.set_memory_pool(pa.jemalloc_memory_pool())
            pa.jemalloc_set_decay_ms(0)
