"""A store for the tests of its room."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline.store.blobs import BlobStore


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    """An empty store in a local folder."""
    return BlobStore(tmp_path / "store")
