"""A running sandbox as tests use it: files put into its inbox, and a client of its API that is judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline_tests.support.custom_csv import custom_csv
from billing_pipeline_tests.support.easybill_swagger import published_api


@contextmanager
def judged_sandbox(folder: Path) -> Iterator[Sandbox]:
    """A sandbox that imports when told to; at the end every request made of it is judged."""
    with Sandbox(folder, import_interval_s=None, requests_per_minute=None) as running:
        yield running
        assert running.journal.violations == []
        if swagger := published_api():
            for made in running.journal.exchanges:
                assert swagger.request_faults(made.method, made.path, made.query, made.body) == []


def put_file(sandbox: Sandbox, name: str, data: bytes) -> None:
    """Publishes a file as the pipeline does: under a name that is ignored, then by rename."""
    temporary = sandbox.files / "import" / f".{name}.tmp"
    temporary.write_bytes(data)
    temporary.rename(temporary.with_name(name))


def import_rows(sandbox: Sandbox, *rows: Mapping[str, str]) -> None:
    """Imports one file of these rows."""
    put_file(sandbox, "orders.csv", custom_csv(*rows))
    assert sandbox.import_now().refused == ()


def api_client(sandbox: Sandbox, *, timeout_s: float = 10) -> httpx.Client:
    """A client with the key. Where the published description is at hand, each answer is held against it."""
    assert sandbox.api_url is not None

    def judge(response: httpx.Response) -> None:
        if swagger := published_api():
            faults = swagger.response_faults(
                response.request.method,
                response.request.url.path.removeprefix("/rest/v1"),
                response.status_code,
                response.headers.get("content-type", ""),
                response.read(),
            )
            assert faults == []

    return httpx.Client(
        base_url=sandbox.api_url,
        headers={"Authorization": f"Bearer {sandbox.api_key}"},
        timeout=timeout_s,
        event_hooks={"response": [judge]},
        trust_env=False,
        verify=False,  # nothing to verify on loopback without TLS, and reading the authorities takes long
    )
