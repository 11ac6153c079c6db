"""Names that a receiver gives to what it has taken: ours, or what it makes of ours, as a pattern says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from billing_pipeline.delivery.context import STEM

_ANY_STEM = r"(?P<stem>easybill_\d{4}-\d{2}_.+?(?:_r\d{1,9})?)"


def original_name(name: str, pattern: str) -> str | None:
    """The name under which we published what is called so now; None for a name that is none of ours."""
    match = _compiled(pattern.replace(STEM, _ANY_STEM)).fullmatch(name)
    return None if match is None else f"{match['stem']}.csv"


def changed_names(ours: str, names: Iterable[str], pattern: str) -> list[str]:
    """Those of the names that may be our file, under another name than its own."""
    changed = _compiled(pattern.replace(STEM, re.escape(ours.removesuffix(".csv"))))
    return [name for name in names if name != ours and changed.fullmatch(name)]


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
