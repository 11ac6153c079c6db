"""The rules that keep the house readable (1-architecture), held over the source itself.

Each rule is a function from one file to what it finds wrong there, tried on a bad sample first: a rule that cannot
fail holds nothing.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
PRODUCT = "billing_pipeline"
# Each room may import those before it, and the ground floor.
ROOMS = ("oms", "billing", "easybill", "store", "delivery", "report", "steps", "defs", "launch", "cli")
GROUND_FLOOR = frozenset(
    {"collector", "deadline", "local_time", "money", "problems", "progress", "settings", "side_by_side"}
)
# Settings enter here; the rooms before take plain values.
KNOW_SETTINGS = frozenset({"steps", "defs", "launch", "cli", "definitions"})
KNOW_DAGSTER = frozenset({"definitions", "defs", "launch"})
KNOW_THE_SANDBOX = frozenset({"launch", "cli"})
MAX_LINES = 450


@dataclass(frozen=True)
class Source:
    """One file, by its path in the repository."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def is_product(self) -> bool:
        return self.path.startswith(f"{PRODUCT}/")

    @property
    def room(self) -> str:
        """The first name below the package: `billing` of billing_pipeline/billing/bill.py, `money`, `cli`."""
        return Path(self.path).parts[1].removesuffix(".py")

    @property
    def imports(self) -> Iterator[str]:
        """Every module imported anywhere in the file, inside functions too; `from x import y` as `x.y`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    @property
    def rooms_imported(self) -> set[str]:
        """The rooms and top modules of the product that the file imports."""
        return {name.split(".")[1] for name in self.imports if name.startswith(f"{PRODUCT}.")}


Rule = Callable[[Source], Iterator[str]]


def data_flows_one_way(source: Source) -> Iterator[str]:
    """A room imports only rooms before it, and the ground floor; the sandbox imports no room at all."""
    if source.room in ROOMS:
        allowed = {*ROOMS[: ROOMS.index(source.room) + 1], *GROUND_FLOOR}
        allowed |= {"sandbox"} if source.room in KNOW_THE_SANDBOX else set()
    elif source.room in GROUND_FLOOR:
        allowed = set(GROUND_FLOOR)
    elif source.room == "sandbox":
        allowed = {"sandbox"}
    else:
        # The top floor: what Dagster loads.
        allowed = {"defs", *GROUND_FLOOR}
    yield from (f"{source.room} may not import {room}" for room in sorted(source.rooms_imported - allowed))


def only_the_shell_imports_dagster(source: Source) -> Iterator[str]:
    names = {name.split(".")[0] for name in source.imports}
    if source.room not in KNOW_DAGSTER:
        yield from (f"imports {name}" for name in sorted(names) if name.startswith("dagster"))


def the_shell_is_dagsters_and_nothing_else(source: Source) -> Iterator[str]:
    """What knows nothing of Dagster is a step, or belongs to another room."""
    if source.room == "defs" and not source.path.endswith("__init__.py"):
        names = {name.split(".")[0] for name in source.imports}
        if not any(name.startswith("dagster") for name in names):
            yield "is in defs/ and does not import Dagster"


def settings_enter_through_the_steps(source: Source) -> Iterator[str]:
    """Only settings.py and the rooms from `steps` on look at the environment, or import settings."""
    if source.room in KNOW_SETTINGS or source.room == "settings":
        return
    if "settings" in source.rooms_imported:
        yield "imports settings"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}:
            yield f"line {node.lineno} reads the environment"


def dagster_sees_annotations_as_types(source: Source) -> Iterator[str]:
    """Deferred annotations hide the context's type from Dagster, so not in defs/."""
    if source.room == "defs" and "__future__.annotations" in source.imports:
        yield "from __future__ import annotations"


def nothing_overwrites_or_trusts_blindly(source: Source) -> Iterator[str]:
    """What would overwrite a file, or trust any server (4-delivery). Servers that a client may ask for it are fine."""
    if source.room == "sandbox":
        return
    for node in ast.walk(source.tree):
        name = getattr(node, "attr", None) or getattr(node, "id", None) or getattr(node, "name", None)
        if name in {"AutoAddPolicy", "WarningPolicy", "posix_rename"}:
            yield f"{name}"


def every_module_has_a_charter(source: Source) -> Iterator[str]:
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield "no module docstring"


def files_stay_small(source: Source) -> Iterator[str]:
    if (lines := source.text.count("\n")) > MAX_LINES:
        yield f"{lines} lines"


def nothing_is_left_open(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        if re.search(r"\b(TOD[O]|FIXM[E]|HAC[K])\b", line):
            yield f"line {number}: {line.strip()}"


def nothing_names_one_machine_or_registry(source: Source) -> Iterator[str]:
    """Folders of one machine, and addresses of package registries: what works here and nowhere else."""
    folders = r"(?<![\w.])/(?:work|root|home/\w+|opt/(?:pypi|wheels))/"
    registries = (
        r"pythonhosted\.org|pypi\.org|npmjs\.org|deb\.debian\.org|--(?:extra-)?index-url|--find[-]links"
    )
    for number, line in enumerate(source.text.splitlines(), start=1):
        if found := re.search(f"{folders}|{registries}", line):
            yield f"line {number}: {found[0]}"


PRODUCT_RULES: tuple[Rule, ...] = (
    data_flows_one_way,
    only_the_shell_imports_dagster,
    the_shell_is_dagsters_and_nothing_else,
    settings_enter_through_the_steps,
    dagster_sees_annotations_as_types,
    nothing_overwrites_or_trusts_blindly,
    every_module_has_a_charter,
)
PYTHON_RULES: tuple[Rule, ...] = (files_stay_small,)
TEXT_RULES: tuple[Rule, ...] = (nothing_is_left_open, nothing_names_one_machine_or_registry)

# Each rule with a sample that breaks it, and one that comes close.
SAMPLES: tuple[tuple[Rule, str, str, str], ...] = (
    (
        data_flows_one_way,
        "oms/extract.py",
        "def f() -> None:\n    from billing_pipeline.billing import bill",
        "from billing_pipeline.money import to_minor\nfrom billing_pipeline.oms import period",
    ),
    (
        data_flows_one_way,
        "sandbox/books.py",
        "import billing_pipeline.money",
        "from billing_pipeline.sandbox import box",
    ),
    (data_flows_one_way, "money.py", "from billing_pipeline.oms import period", "import decimal"),
    (
        data_flows_one_way,
        "defs/jobs.py",
        "from billing_pipeline.launch import demo",
        "from billing_pipeline.steps import send",
    ),
    (
        data_flows_one_way,
        "launch/demo.py",
        "from billing_pipeline.definitions import defs",
        "from billing_pipeline.sandbox import box",
    ),
    (
        the_shell_is_dagsters_and_nothing_else,
        "defs/jobs.py",
        "from billing_pipeline.steps import send",
        "import dagster as dg",
    ),
    (only_the_shell_imports_dagster, "report/month.py", "from dagster_postgres import x", "import pandas"),
    (
        settings_enter_through_the_steps,
        "delivery/sftp.py",
        "import os\nos.environ['X']",
        "import os\nos.fsync(1)",
    ),
    (
        settings_enter_through_the_steps,
        "oms/source.py",
        "from billing_pipeline.settings import load_settings",
        "import platform",
    ),
    (
        dagster_sees_annotations_as_types,
        "defs/jobs.py",
        "from __future__ import annotations",
        "import dagster",
    ),
    (
        nothing_overwrites_or_trusts_blindly,
        "delivery/sftp.py",
        "client.posix_rename(a, b)",
        "client.rename(a, b)",
    ),
    (every_module_has_a_charter, "money.py", "import decimal", '"""Money."""'),
    (files_stay_small, "money.py", "\n" * (MAX_LINES + 1), "\n" * MAX_LINES),
    (nothing_is_left_open, "money.py", f"# {'TO'}DO: later", "# a list of what is to do"),
    (nothing_names_one_machine_or_registry, "money.py", f"open('/{'work'}/x')", "open('home/work/x')"),
    (nothing_names_one_machine_or_registry, "a.md", f"--index{'-url'} x", "an index by url"),
)


@pytest.mark.parametrize(("rule", "path", "bad", "good"), SAMPLES)
def test_each_rule_sees_what_breaks_it_and_only_that(rule: Rule, path: str, bad: str, good: str) -> None:
    assert list(rule(Source(f"{PRODUCT}/{path}", bad)))
    assert not list(rule(Source(f"{PRODUCT}/{path}", good)))


def tracked(*suffixes: str) -> list[Source]:
    """The repository's text files, as git lists them (new ones too, ignored ones not)."""
    # A CI container may own the checkout as another user than git expects.
    git = ["git", "-c", f"safe.directory={TOP}"]
    command = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=TOP, check=True, capture_output=True, text=True)
    paths = [path for path in listed.stdout.split("\0") if path.endswith(suffixes) and (TOP / path).is_file()]
    return [Source(path, (TOP / path).read_text(encoding="utf-8")) for path in paths]


@pytest.fixture(scope="module")
def texts() -> list[Source]:
    suffixes = (
        ".py",
        ".toml",
        ".yaml",
        ".yml",
        ".md",
        ".lock",
        ".sql",
        ".ini",
        ".cfg",
        ".example",
        ".ci/run",
    )
    return tracked(*suffixes, "Makefile", "Dockerfile", ".dockerignore", ".gitignore")


@pytest.mark.parametrize("rule", [*PRODUCT_RULES, *PYTHON_RULES, *TEXT_RULES])
def test_the_house_keeps_its_rules(rule: Rule, texts: list[Source]) -> None:
    python = [source for source in texts if source.path.endswith(".py")]
    product = [source for source in python if source.is_product]
    assert len(product) > 20
    checked = product if rule in PRODUCT_RULES else python if rule in PYTHON_RULES else texts
    found = [f"{source.path}: {fault}" for source in checked for fault in rule(source)]
    assert not found, "\n".join(found)


def test_a_file_name_stands_once_in_the_product(texts: list[Source]) -> None:
    names = Counter(
        Path(source.path).name
        for source in texts
        if source.is_product and source.path.endswith(".py") and not source.path.endswith("__init__.py")
    )
    assert [name for name, times in names.items() if times > 1] == []
