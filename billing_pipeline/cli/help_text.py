"""The help of the command line: commands in groups, each with an example. Plain text, so that it answers at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import typer
from typer.core import TyperGroup

PROGRAM: Final = "billing-pipeline"
EVERY_MONTH: Final = "Every month"
WHEN_RED: Final = "When something is red"
DECISIONS: Final = "Decisions"
LOOK_INTO_IT: Final = "Look into it"
SET_UP: Final = "Set up"
GROUPS: Final = (EVERY_MONTH, WHEN_RED, DECISIONS, LOOK_INTO_IT, SET_UP)

# A whole first sentence, which is wrapped, rather than the part of it that fits beside the command's name.
_SENTENCE: Final = 200


class GroupedHelp(TyperGroup):
    """Lists the commands under the groups that they were registered with."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Each group in its order, and what has no group after them."""
        found: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
        for name, command in self.commands.items():
            group = getattr(command, "rich_help_panel", None)
            rows = found.setdefault(group if isinstance(group, str) else "Commands", [])
            rows.append((name, command.get_short_help_str(_SENTENCE)))
        width = max(len(name) for name in self.commands)
        for group, rows in found.items():
            if rows:
                with formatter.section(group):
                    formatter.write_dl([(f"{name:<{width}}", text) for name, text in rows])


def examples(*lines: str) -> str:
    """The end of a command's help: how it is typed."""
    shown = "\n".join(f"  {PROGRAM} {line}" for line in lines)
    # \b keeps the lines as they are.
    return f"\b\n{'Example' if len(lines) == 1 else 'Examples'}:\n{shown}"


def add_command(
    app: typer.Typer, group: str | None, function: Callable[..., None], *lines: str, name: str | None = None
) -> None:
    """Registers a command in its group (one of a command group has none), with its examples."""
    app.command(name, epilog=examples(*lines), rich_help_panel=group)(function)
