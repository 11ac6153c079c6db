"""`doctor` tries the receiver's directories, and has the right words for somebody else's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline_tests.support.installation import Installation


@pytest.mark.parametrize("setting", ["BILLING_REMOTE_ARCHIVE_DIR", "BILLING_REMOTE_ERROR_DIR"])
def test_a_mistyped_directory_is_to_be_fixed(tmp_path: Path, setting: str) -> None:
    installation = Installation(tmp_path, **{setting: "/arhcive"})
    answer = installation.command("doctor")
    assert answer.status == 3
    (line,) = [line for line in answer.out.splitlines() if line.startswith("FIX ") and "inbox" in line]
    assert setting in line
    assert "/arhcive" in line


def test_what_is_not_promised_without_them_is_said(tmp_path: Path) -> None:
    out = Installation(tmp_path).command("doctor").out
    assert "BILLING_REMOTE_ARCHIVE_DIR is not set: a file that is gone after a death is only presumed" in out
    assert "BILLING_REMOTE_ERROR_DIR is not set: what the receiver rejects is not noticed" in out


def test_somebody_elses_file_stops_nobody_else_and_doctor_says_so(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    (installation.inbox / "easybill_2026-10_10023.csv").write_bytes(b"somebody else's\n")
    answer = installation.command("doctor")
    (line,) = [line for line in answer.out.splitlines() if "remote files" in line]
    assert line.startswith("ok ")
    assert "each holds its own customer" in line
    assert "Nothing is sent until" not in answer.out
