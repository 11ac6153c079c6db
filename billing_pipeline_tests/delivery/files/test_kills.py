"""SIGKILL, for real, at every edge: a process of its own, the folder transport, a receiver that empties the inbox.

Judged by the receiver's own log. The great trial on real servers is `billing_pipeline_tests/faults`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.files.upload import CRASH_POINTS
from billing_pipeline.delivery.ledger import open_ledger
from billing_pipeline.delivery.records import Parcel
from billing_pipeline.delivery.transports.folder import FolderTransport
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.support.delivering import context_over, deliver_over
from billing_pipeline_tests.support.parcels import parcel

DATA = b"order_number\n2026-10-10023\n" * 1000


@dataclass
class Receiver:
    """Takes up every file in the inbox; `log` has each that it saw."""

    root: Path
    archive: Path | None
    log: list[tuple[str, bytes]] = field(default_factory=list)

    def poll(self) -> None:
        for file in sorted((self.root / "import").glob("easybill_*.csv")):
            self.log.append((file.name, file.read_bytes()))
            if self.archive is None:
                file.unlink()
            else:
                file.rename(self.archive / file.name)


def run(home: Path, one: Parcel, archive_dir: str | None, at_crash_point: Callable[[str], None]) -> list[str]:
    ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    transport = FolderTransport(home / "share")
    store = BlobStore(home / "store")
    places = Places("/import", archive_dir)
    context = context_over(transport, ledger, store, places=places, at_crash_point=at_crash_point)
    results = deliver_over([one], transport, context)
    outcomes = [str(result.outcome) for result in results]
    ledger.close()
    return outcomes


def run_and_be_killed_at(edge: str, home: Path, one: Parcel, archive_dir: str | None) -> bool:
    """Whether the run came as far as to be killed there; it is a child, with nothing open of ours."""

    def die(reached: str) -> None:
        if reached == edge:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            run(home, one, archive_dir, die)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("archive_dir", ["/archive", None])
@pytest.mark.parametrize("edge", CRASH_POINTS)
def test_a_killed_run_is_finished_by_the_next_without_a_wait(
    tmp_path: Path, edge: str, archive_dir: str | None
) -> None:
    """Twice: at the edge, then in the recovery; a receiver looks between any two."""
    for folder in ("import", "archive"):
        (tmp_path / "share" / folder).mkdir(parents=True)
    one = parcel(data=DATA, store=BlobStore(tmp_path / "store"))
    open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}").close()
    receiver = Receiver(tmp_path / "share", tmp_path / "share" / "archive" if archive_dir else None)
    killed = run_and_be_killed_at(edge, tmp_path, one, archive_dir)
    assert killed or edge in {"adopted", "looked"}
    receiver.poll()
    run_and_be_killed_at("looked", tmp_path, one, archive_dir)
    receiver.poll()
    assert run(tmp_path, one, archive_dir, lambda _: None) in (["delivered"], ["unchanged"])
    receiver.poll()
    assert receiver.log == [(one.export.file_name, DATA)]
    assert list((tmp_path / "share" / "import").iterdir()) == []
