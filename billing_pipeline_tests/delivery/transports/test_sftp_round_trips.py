"""How often a new file waits for the server: five times, which docs and benches count on."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.files.pool import deliver_all
from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.transports.sftp import SftpTransport
from billing_pipeline.delivery.transports.sftp_channels import TimedChannel
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.asyncssh_server import sftp_server
from billing_pipeline_tests.support.delivering import context_over
from billing_pipeline_tests.support.openssh import openssh_server
from billing_pipeline_tests.support.parcels import parcel

OF_A_FILE = 5
"""The looks with the creation; the writes, sync and close; the opening to read back; what was read; the rename."""
OF_A_CHANNEL = 1
"""The version that both speak."""
FILES = 3


def waits(
    monkeypatch: pytest.MonkeyPatch,
    transport: SftpTransport,
    places: Places,
    ledger: Ledger,
    store: BlobStore,
) -> int:
    """How often the client waits for an answer to what it has just sent, while it delivers `FILES` files."""
    count, has_sent = 0, False
    sendall, recv = TimedChannel.sendall, TimedChannel.recv

    def sending(channel: TimedChannel, data: bytes, /) -> None:
        nonlocal has_sent
        has_sent = True
        sendall(channel, data)

    def receiving(channel: TimedChannel, size: int, /) -> bytes:
        nonlocal count, has_sent
        count, has_sent = count + has_sent, False
        return recv(channel, size)

    monkeypatch.setattr(TimedChannel, "sendall", sending)
    monkeypatch.setattr(TimedChannel, "recv", receiving)
    made = [parcel(f"{number}", b"a line of a file\n" * 6_000, store=store) for number in range(FILES)]
    ledger.months.record_exports([each.export for each in made], "run")
    context = context_over(transport, ledger, store, places=places, timeout_s=10.0)
    results = list(deliver_all(made, transport, context, connections=1, timeout_s=10.0))
    assert [result.outcome for result in results] == ["delivered"] * FILES
    return count


@pytest.mark.parametrize("archive_dir", [None, "/archive"])
def test_a_new_file_takes_five_round_trips(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sqlite_ledger: Ledger,
    store: BlobStore,
    archive_dir: str | None,
) -> None:
    with sftp_server(tmp_path / "server") as server:
        for name in ("import", "archive"):
            (server.root / name).mkdir(exist_ok=True)
        transport, places = server.transport(timeout_s=10.0), Places("/import", archive_dir)
        found = waits(monkeypatch, transport, places, sqlite_ledger, store)
    assert found == OF_A_CHANNEL + FILES * OF_A_FILE


def test_openssh_which_offers_a_sync_takes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_ledger: Ledger, store: BlobStore
) -> None:
    with openssh_server(tmp_path / "sshd") as server:
        places = Places(str(server.inbox))
        found = waits(monkeypatch, server.transport(timeout_s=10.0), places, sqlite_ledger, store)
    assert found == OF_A_CHANNEL + FILES * OF_A_FILE
