"""What the sandbox's tests share: a running sandbox, with and without its API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline_tests.support.easybill_sandbox import api_client


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox without the API, which imports only when told to."""
    with Sandbox(tmp_path / "sandbox", api_port=None, import_interval_s=None) as running:
        yield running


@pytest.fixture
def api_sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox with the API and no rate limit, which imports only when told to."""
    with Sandbox(tmp_path / "sandbox", import_interval_s=None, requests_per_minute=None) as running:
        yield running


@pytest.fixture
def api(api_sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client of `api_sandbox` with the key, whose answers are held against the published description."""
    with api_client(api_sandbox) as client:
        yield client
