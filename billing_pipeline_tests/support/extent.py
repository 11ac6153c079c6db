"""How much of what is long by repetition is tried: a sample, the same in every run, or all of it with FULL_TESTS=1."""

from __future__ import annotations

import os
from typing import Final

FULL: Final = os.environ.get("FULL_TESTS") == "1"
