"""The documentation says what is there: every setting, every command, every link."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from billing_pipeline import __doc__ as charter
from billing_pipeline.cli.main import app
from billing_pipeline.settings import SECRETS, Settings

TOP = Path(__file__).parents[1]
PAGES = [TOP / "README.md", TOP / "CHANGELOG.md", *sorted(TOP.glob("docs/**/*.md")), *TOP.glob("deploy/*.md")]


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every command, with those of groups as `omit add`."""
    group = typer.main.get_command(app)
    found = []
    for name, command in getattr(group, "commands", {}).items():
        inner = getattr(command, "commands", None)
        found += [f"{name} {sub}" for sub in inner] if inner else [name]
    return found


def test_the_readme_tells_every_setting_with_its_default_and_meaning_and_no_other() -> None:
    table = read(TOP / "README.md").partition("<!-- settings:")[2]
    told = re.findall(r"^\| `(BILLING_[A-Z_]+)`( †)? \| (?:`([^`]*)`)? ?\| (.+) \|$", table, re.MULTILINE)
    expected = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        default = default.lower() if isinstance(field.default, bool) else default
        expected.append(
            (f"BILLING_{name.upper()}", " †" if name in SECRETS else "", default, field.description)
        )
    assert told == expected


def test_every_command_is_told_in_the_documentation() -> None:
    told = "\n".join(read(page) for page in PAGES)
    missing = [
        command for command in commands() if not re.search(rf"`?(billing-pipeline )?\b{command}\b", told)
    ]
    assert commands()
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", read(page)):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_command_says_what_it_does() -> None:
    group = typer.main.get_command(app)
    assert [name for name, command in getattr(group, "commands", {}).items() if not command.help] == []
    assert charter
