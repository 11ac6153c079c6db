"""One measured figure, as a row that people read and a goal that a script can hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` in `unit`; the smaller the better. `goal` is the most that it may be, where there is one."""

    name: str
    value: float
    unit: str
    goal: float | None = None

    @property
    def missed(self) -> bool:
        """Whether there is a goal and the figure is above it."""
        return self.goal is not None and self.value > self.goal

    def __str__(self) -> str:
        goal = (
            "" if self.goal is None else f"   goal {self.goal:,.1f}: {'MISSED' if self.missed else 'reached'}"
        )
        return f"{self.name:<58} {self.value:>10,.2f} {self.unit}{goal}"
