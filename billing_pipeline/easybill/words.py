"""How values are shown to people in messages: on one line, and no longer than anyone reads."""

from __future__ import annotations


def cut(value: str, most: int = 60) -> str:
    """The beginning of a value that may be long."""
    return value if len(value) <= most else f"{value[: most - 1]}…"


def shortened(value: str, most: int = 60) -> str:
    """A value on one line, in quotes, cut where it is long."""
    return repr(cut(value, most))
