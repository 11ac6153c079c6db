"""docs/decisions: every page is in the index and has its three parts, and every dependency has its reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

TOP = Path(__file__).parents[1]
PAGES = sorted((TOP / "docs" / "decisions").glob("0*.md"))


def test_the_index_lists_every_decision_in_order() -> None:
    index = (TOP / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\((0[\w-]+\.md)\)", index) == [page.name for page in PAGES]


def test_every_decision_says_context_decision_and_consequences() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {page.name[:4]}: "), page.name
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
        ], page.name


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [text for extra in project["optional-dependencies"].values() for text in extra]
    names = {Requirement(text).name for text in [*project["dependencies"], *extras]}
    page = (TOP / "docs" / "decisions" / "0007-dependencies.md").read_text(encoding="utf-8")
    assert not [name for name in sorted(names) if f"`{name}`" not in page]
