"""How often Python looks for garbage that refers to itself."""

from __future__ import annotations

import gc
from typing import Final

_OBJECTS_BETWEEN_COLLECTIONS: Final = 20_000


def collect_less_often() -> None:
    """Python looks for such garbage after 20,000 new objects (its own choice: 700).

    Where programs are loaded, or a month's rows pass through Python, hardly anything is such garbage: a tenth of a run,
    and a tenth of loading Dagster, went into looking.
    """
    if 0 < gc.get_threshold()[0] < _OBJECTS_BETWEEN_COLLECTIONS:
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])
