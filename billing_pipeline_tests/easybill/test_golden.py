"""The golden files, byte by byte. What each is about stands in `billing_pipeline_tests/golden/documents.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

import billing_pipeline_tests.golden
from billing_pipeline.easybill.render import render_csv
from billing_pipeline_tests.golden.documents import CASES
from billing_pipeline_tests.golden.regenerate import regenerate

FOLDER = Path(billing_pipeline_tests.golden.__path__[0])


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_byte_for_byte_what_was_reviewed(name: str) -> None:
    document, layout = CASES[name]
    assert render_csv(document, layout) == (FOLDER / f"{name}.csv").read_bytes()


def test_a_golden_file_is_never_overwritten(tmp_path: Path) -> None:
    made, refused = regenerate(tmp_path)
    assert (len(made), refused) == (len(CASES), [])
    (tmp_path / "umlauts.csv").write_bytes(b"reviewed")
    assert regenerate(tmp_path) == ([], ["umlauts.csv"])
    assert (tmp_path / "umlauts.csv").read_bytes() == b"reviewed"
