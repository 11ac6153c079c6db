"""Metadata for people: frames and problems as tables, amounts as text. Nothing is computed here that is billed."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd

from billing_pipeline.local_time import local_day
from billing_pipeline.money import format_minor
from billing_pipeline.problems import PROBLEM_COLUMNS, Problem, masked_text, without_personal_values
from billing_pipeline.report.open_items import OpenItem

# The UI shows a table as a whole; more rows than this make the page slow and nobody reads them.
PREVIEW_ROWS = 20
PROBLEM_ROWS = 500


def table(
    frame: pd.DataFrame, columns: Iterable[str], timezone: str, *, rows: int = PREVIEW_ROWS
) -> dg.TableMetadataValue:
    """The first rows of a frame as a table; instants as the clock of `timezone` shows them."""
    names, zone = list(columns), ZoneInfo(timezone)
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord({name: _cell(row[name], zone) for name in names})
            for row in frame[names].head(rows).to_dict("records")
        ],
        schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in names]),
    )


def problems_table(problems: Iterable[Problem]) -> dg.TableMetadataValue:
    """Problems as a table, in the order given, without the values of personal fields: Dagster keeps it for good."""
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord(without_personal_values(problem).as_json())
            for problem in list(problems)[:PROBLEM_ROWS]
        ],
        schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in PROBLEM_COLUMNS]),
    )


def open_table(items: Iterable[OpenItem], language: str, timezone: str) -> dg.TableMetadataValue:
    """What is open as a table, in the order given; money as people of `language` read it, days of `timezone`."""
    columns = ("customer", "code", "what", "net", "since", "message")
    records = []
    for item in list(items)[:PROBLEM_ROWS]:
        cells = (
            item.customer_number,
            item.code,
            item.what,
            item.net_text(language),
            local_day(item.since, timezone),
            masked_text(item.message),
        )
        records.append(dg.TableRecord(dict(zip(columns, cells, strict=True))))
    return dg.MetadataValue.table(
        records=records, schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in columns])
    )


def link(address: str | None) -> dict[str, dg.UrlMetadataValue]:
    """Where a person sees the draft in EASY Bill; nothing where that is not known."""
    return {"link": dg.MetadataValue.url(address)} if address else {}


def amounts(totals: Mapping[str, Mapping[str, int]], language: str) -> str:
    """Net, VAT and gross by currency in one line, as people of `language` read them."""
    return "; ".join(
        ", ".join(
            f"{name} {format_minor(total[name], currency, language)}" for name in ("net", "vat", "gross")
        )
        for currency, total in totals.items()
    )


def with_amounts(lines: pd.DataFrame, language: str) -> pd.DataFrame:
    """The lines with net, VAT and gross as text, as people of `language` read them."""
    return lines.assign(
        **{
            name: [
                format_minor(int(minor), currency, language)
                for minor, currency in zip(lines[name], lines["currency"], strict=True)
            ]
            for name in ("net", "vat", "gross")
        }
    )


def _cell(value: object, zone: ZoneInfo) -> str | int | bool | None:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, datetime):
        # What has no zone is a fault of its row, and shown as it is.
        return (value if value.tzinfo is None else value.astimezone(zone)).isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)
