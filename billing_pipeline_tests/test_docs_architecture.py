"""docs/architecture.md is a map that leads somewhere: its rooms, paths and stops are those of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TOP = Path(__file__).parents[1]
PRODUCT = TOP / "billing_pipeline"
PAGE = (TOP / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = (
    "oms",
    "billing",
    "easybill",
    "store",
    "delivery",
    "report",
    "steps",
    "defs",
    "launch",
    "cli",
    "sandbox",
)
STOPS = re.findall(r"^\| (\d+) \| `([\w/.]+)` \| `(\w+)` \|", PAGE, flags=re.MULTILINE)
MOST_FILES = 40


def defined_in(file: Path) -> set[str]:
    """The names of functions, classes, and values at the top of a module."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_every_path_on_the_map_is_there() -> None:
    paths = re.findall(r"`((?:[\w-]+/)+[\w.-]*|[\w-]+\.(?:py|toml))`", PAGE)
    assert len(paths) > len(STOPS)
    assert [path for path in paths if not (PRODUCT / path).exists() and not sibling(path)] == []


def sibling(name: str) -> bool:
    """Whether a bare file name is that of one file somewhere in the product."""
    return "/" not in name and len(list(PRODUCT.rglob(name))) == 1


def test_every_stop_of_a_service_is_defined_where_the_map_says() -> None:
    assert [number for number, _, _ in STOPS] == [str(number) for number in range(1, len(STOPS) + 1)]
    missing = [(file, name) for _, file, name in STOPS if name not in defined_in(PRODUCT / file)]
    assert missing == []


def test_a_newcomer_opens_few_files_to_follow_a_service() -> None:
    files = {file for _, file, _ in STOPS}
    assert 30 < len(files) <= MOST_FILES


def test_the_rooms_of_the_map_are_the_folders_of_the_product() -> None:
    on_map = re.findall(r"^\| `(\w+)/` \|", PAGE, flags=re.MULTILINE)
    assert tuple(on_map) == ROOMS
    folders = {path.parent.name for path in PRODUCT.glob("*/__init__.py")}
    assert folders == set(ROOMS)
