"""The plots of a month's report as SVG: their numbers stand in a table beside them. No display, no files, no dates."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

# matplotlib takes a second to load: only who draws does so.
if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK: Final = "#1f2933"
BEFORE: Final = "#9fb3c8"
NOW: Final = "#0b69a3"
OUTCOME_COLOURS: Final[Mapping[str, str]] = {
    "delivered": "#1b7a43",
    "unchanged": "#6aa884",
    "nothing_to_bill": "#9fb3c8",
    "omitted": "#7b8794",
    "blocked": "#b42318",
    "failed": "#d9480f",
    "held": "#a15c00",
}
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "billing_pipeline",
    "font.family": ["sans-serif"],
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
_WITHOUT: Final = {"Date": None, "Creator": None, "Format": None, "Type": None}


def months_plot(amounts: Mapping[str, int], unit: str) -> bytes:
    """A bar per month, the last one marked. Amounts in whole units, such as EUR."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 2.6), layout="constrained")
        axes = figure.add_subplot()
        colours = [*[BEFORE] * (len(amounts) - 1), NOW]
        axes.bar(list(amounts), list(amounts.values()), color=colours, width=0.7)
        axes.set_ylabel(unit)
        axes.tick_params(axis="x", rotation=45)
        axes.yaxis.set_major_formatter(lambda amount, _: f"{amount:,.0f}".replace(",", "\N{THIN SPACE}"))
        return _svg(figure)


def outcomes_plot(counts: Mapping[str, int], names: Mapping[str, str]) -> bytes:
    """One bar, divided by outcome. `names`: what people call each."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 1.5), layout="constrained")
        axes = figure.add_subplot()
        left = 0
        for outcome, count in counts.items():
            axes.barh(
                [""], [count], left=left, color=OUTCOME_COLOURS[outcome], label=f"{names[outcome]} {count}"
            )
            left += count
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(0, max(left, 1))
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
        return _svg(figure)


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata=_WITHOUT)
    return buffer.getvalue()
