"""Chinook, a public sample database, as a foreign OMS: its script, and the folder of queries that maps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline_tests.support.postgres import run_sql

CHINOOK_QUERIES = Path(__file__).parents[1] / "oms" / "chinook"
_SCRIPT = Path(__file__).parents[2].parent / "shared" / "data" / "chinook_postgresql.sql"
_CONNECT = "\\c chinook;"


def load_chinook(url: str) -> None:
    """Loads Chinook into the empty PostgreSQL database at `url`; skips the test where its script is not at hand."""
    if not _SCRIPT.is_file():
        pytest.skip(f"Chinook is not at {_SCRIPT}")
    # What comes before creates a database of that name, and is meant for psql.
    run_sql(url, _SCRIPT.read_text("utf-8").partition(_CONNECT)[2])
