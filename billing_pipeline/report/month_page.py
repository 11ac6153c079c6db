"""The month's report as one HTML page, in German or English, that loads nothing from anywhere and needs no script.

Jinja2 writes it, with every text escaped; a content security policy forbids whatever a text might smuggle in. Amounts,
dates and counts are as people of the language write them; reasons and remedies are English, as everywhere.
"""

from __future__ import annotations

import base64
import hashlib
import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib import resources
from typing import Any, Final, Literal

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from billing_pipeline.billing.rules import Language
from billing_pipeline.money import format_minor, from_minor
from billing_pipeline.report.month_report import MonthReport
from billing_pipeline.report.plots import months_plot, outcomes_plot

PageLanguage = Literal["de", "en"]
_TEMPLATES: Final = "templates"


def month_page(report: MonthReport, language: Language) -> bytes:
    """The page in UTF-8. The same report in the same language gives the same bytes."""
    words = words_of(language)
    script = _packaged("month.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = _environment(language).get_template("month.html.j2")
    text = template.render(
        report=report,
        status=report.status,
        words=words,
        language=language,
        month_name=_month_name(report.month, language),
        made_at=format_datetime(
            report.made_at,
            "d. MMMM y, HH:mm zzz" if language == "de" else "d MMMM y, HH:mm zzz",
            locale=language,
        ),
        style=_packaged_markup("month.css"),
        script=_packaged_markup("month.js"),
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
        outcomes_plot=_as_source(outcomes_plot(_counts(report), words["outcomes"]))
        if report.status.customers
        else "",
        month_plots=_month_plots(report, language),
    )
    return text.encode()


@cache
def words_of(language: Language) -> Mapping[str, Any]:
    """The page's words in that language: headings, outcomes, the titles of problem codes."""
    return tomllib.loads(_packaged(f"words_{language}.toml"))


def _counts(report: MonthReport) -> dict[str, int]:
    return {name: count for name, count in report.status.counts.items() if name != "total" and count}


def _month_plots(report: MonthReport, language: Language) -> list[dict[str, Any]]:
    """Per currency: the plot, and the same numbers for the table beside it."""
    return [
        {
            "currency": currency,
            "source": _as_source(
                months_plot(
                    {month: int(from_minor(net, currency)) for month, net in months.items()}, currency
                )
            ),
            "months": {month: format_minor(net, currency, language) for month, net in months.items()},
        }
        for currency, months in report.net_by_month().items()
    ]


def _as_source(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _month_name(month: str, language: Language) -> str:
    return format_date(date.fromisoformat(f"{month}-01"), "LLLL y", locale=language)


def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader("billing_pipeline.report", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["money"] = lambda minor, currency: format_minor(minor, currency, language)
    environment.filters["number"] = lambda number: format_decimal(number, locale=language)
    environment.filters["rate"] = lambda points: (
        f"{format_decimal(from_minor(points, 'EUR'), format='#,##0.##', locale=language)} %"
    )
    environment.filters["day"] = lambda at: format_date(
        at, "dd.MM.y" if language == "de" else "d MMM y", locale=language
    )
    return environment


def _packaged_markup(name: str) -> Markup:
    # Ours, and never anything of a customer's: what is put in is the file of this package, as it is.
    return Markup(_packaged(name))  # noqa: S704


@cache
def _packaged(name: str) -> str:
    return (resources.files("billing_pipeline.report") / _TEMPLATES / name).read_text("utf-8")
