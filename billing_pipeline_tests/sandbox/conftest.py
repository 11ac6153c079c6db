"""What the sandbox's tests share: a running sandbox, and Custom CSV written out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.sandbox.box import Sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that imports only when told to."""
    with Sandbox(tmp_path / "sandbox", import_interval_s=None) as running:
        yield running
