"""Order numbers: the key by which EASY Bill recognises an order it already has.

Belongs here: how a number is made of month, customer and revision, and which formats could make the same number
of two documents. Does not: which revision a document is (`delivery/`).
"""

from __future__ import annotations

from itertools import takewhile
from string import Formatter
from typing import Final

_NEEDED: Final = ("month", "customer", "revision")
_PLACEHOLDERS: Final = ("prefix", *_NEEDED)


def order_number(template: str, prefix: str, month: str, customer_number: str, revision: int) -> str:
    """The order number of a document; `{revision}` is empty for the first, `-r2`, `-r3` … for corrections.

    `template` has passed `check_order_number_format`, which makes numbers of different documents differ as long as
    no customer number itself ends (or begins) like a revision; the ledger refuses a number it already has.
    """
    return template.format(
        prefix=prefix,
        month=month,
        customer=customer_number,
        revision="" if revision == 1 else f"-r{revision}",
    )


def check_order_number_format(template: str, prefix: str) -> None:
    """Raises ValueError, saying what to do, for a format by which two documents could get one number."""
    parts = _parts(template)
    named = [name for name, _ in parts if name]
    for name in _NEEDED:
        if name not in named:
            raise ValueError(f"without {{{name}}} two documents could get the same number: add it")
    for name in _PLACEHOLDERS:
        if named.count(name) > 1:
            raise ValueError(f"{{{name}}} stands twice: once is enough")
    if prefix and "prefix" not in named:
        raise ValueError(f"order_number_prefix is {prefix!r}, but the format has no {{prefix}}: add it")
    after = parts[[name for name, _ in parts].index("revision") + 1 :]
    fixed = list(takewhile(lambda part: part[0] in ("", "prefix"), after))
    text = "".join(prefix if name else literal for name, literal in fixed)
    follower = after[len(fixed)][0] if len(fixed) < len(after) else ""
    if text[:1].isdigit() or (not text and follower == "customer"):
        raise ValueError("after {revision} a digit could be read as part of it: put a separator between them")


def _parts(template: str) -> list[tuple[str, str]]:
    """The parts of a format in order: (placeholder, "") or ("", literal text)."""
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as fault:
        raise ValueError(f"{fault}; write placeholders such as {{month}}") from None
    parts = []
    for literal, name, form, conversion in parsed:
        if literal:
            parts.append(("", literal))
        if name is not None:
            if name not in _PLACEHOLDERS or form or conversion:
                raise ValueError(
                    f"{{{name}}} is no placeholder as it stands; known: {', '.join(_PLACEHOLDERS)}"
                )
            parts.append((name, ""))
    return parts
