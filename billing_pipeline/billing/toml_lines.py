"""Where in a TOML text a key stands: the parser of the standard library tells values, but not places."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence


def line_of(text: str, path: Sequence[str]) -> int | None:
    """The number (from 1) of the line that first sets the key at `path`; None where the text sets no such key.

    A key is set by the statement after which the parser first knows it. Only for messages: it parses the text
    once per line, and the text must be valid TOML.
    """
    lines = text.splitlines(keepends=True)
    statement = 0
    for end in range(1, len(lines) + 1):
        try:
            known = tomllib.loads("".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value of several lines
        if _has(known, path):
            while lines[statement].lstrip().startswith(("#", "\n", "\r")) or not lines[statement].strip():
                statement += 1
            return statement + 1
        statement = end
    return None


def _has(table: object, path: Sequence[str]) -> bool:
    for key in path:
        if not isinstance(table, dict) or key not in table:
            return False
        table = table[key]
    return True
