"""Where a key stands in a TOML text."""

from __future__ import annotations

import pytest

from billing_pipeline.billing.rules import line_of

TEXT = '''# a = 1

a = 1
text = """
b = 2
"""

# the list
list = [
  1,   # c = 3
  2,
]
dotted.key = "x"
inline = { one = 1, two = { three = 3 } }

[table."quoted key"]
d = 4
[[rows]]
e = 5
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (["a"], 3),
        (["text"], 4),
        (["list"], 9),
        (["dotted"], 13),
        (["dotted", "key"], 13),
        (["inline", "two", "three"], 14),
        (["table"], 16),
        (["table", "quoted key"], 16),
        (["table", "quoted key", "d"], 17),
        (["b"], None),
        (["c"], None),
        (["a", "b"], None),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_line_is_that_where_the_statement_begins(path: list[str], line: int | None, end: str) -> None:
    assert line_of(TEXT.replace("\n", end), path) == line
