"""How a run takes memory and gives it back."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

import pyarrow as pa

from billing_pipeline.collector import collect_less_often

# malloc.h of the GNU C library
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_GIVEN_BACK = 8 << 20
"""Arrays of so many bytes, which are a million numbers; smaller ones are left to the library."""


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
    if sys.platform == "linux" and "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        # What NumPy and the drivers take comes from the C library, which keeps arrays of up to 32 MB once it has freed
        # one; of a million rows that was 60 MB. musl has no such thing to set.
        with suppress(AttributeError):
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_MMAP_THRESHOLD, _GIVEN_BACK)
            libc.mallopt(_M_TRIM_THRESHOLD, 2 * _GIVEN_BACK)
