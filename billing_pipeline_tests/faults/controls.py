"""Three ways to deliver that look right and are not: the negative controls of the bench.

Each is what a sensible person writes at first, and each must come out lost, doubled or torn in the same trials in
which the state machine does not. They share its transports, so that it is the order of things that is judged.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from billing_pipeline.delivery.transports.protocol import DeliveryError, InboxConnection, NameTaken, Transport
from billing_pipeline_tests.faults.world import Case

Edge = Callable[[str], None]
_TRIES = 4


def put_to_the_final_name(case: Case, inbox: InboxConnection, at_crash_point: Edge) -> None:
    """`sftp.put(file, "/import/file.csv")`, and a note that it was sent."""
    path = f"{case.address.remote_dir}/{case.name}"
    inbox.remove(path)
    inbox.create(path, _bytes(case))
    at_crash_point("created")
    _note(case)
    at_crash_point("published")


def rename_without_ledger(case: Case, inbox: InboxConnection, at_crash_point: Edge) -> None:
    """A temporary name, a proper rename, even a look whether the file is there; then a note that it was sent."""
    temporary, final = f"{case.address.remote_dir}/.{case.name}.tmp", f"{case.address.remote_dir}/{case.name}"
    if inbox.stat(final) is None:
        inbox.remove(temporary)
        inbox.create(temporary, _bytes(case))
        at_crash_point("created")
        try:
            inbox.rename(temporary, final)
        except NameTaken:
            inbox.remove(temporary)
        at_crash_point("renamed")
    _note(case)
    at_crash_point("published")


def ledger_before_upload(case: Case, inbox: InboxConnection, at_crash_point: Edge) -> None:
    """A note first, so that nothing is ever sent twice; then a temporary name and a rename."""
    _note(case)
    at_crash_point("taken")
    temporary, final = f"{case.address.remote_dir}/.{case.name}.tmp", f"{case.address.remote_dir}/{case.name}"
    inbox.create(temporary, _bytes(case))
    at_crash_point("created")
    inbox.rename(temporary, final)
    at_crash_point("renamed")


def _retried(
    deliver: Callable[[Case, InboxConnection, Edge], None],
) -> Callable[[Case, Transport, Edge], str]:
    """Tries again on a new connection, as everybody does, unless it is noted that the file was sent."""

    def run(case: Case, transport: Transport, at_crash_point: Edge) -> str:
        for _ in range(_TRIES):
            if _noted(case):
                return "unchanged"
            try:
                with transport.connect() as inbox:
                    deliver(case, inbox, at_crash_point)
            except DeliveryError:
                time.sleep(0.02)
            else:
                return "delivered"
        return "unchanged" if _noted(case) else "failed"

    return run


CONTROLS: Final[dict[str, Callable[[Case, Transport, Edge], str]]] = {
    "put to the final name": _retried(put_to_the_final_name),
    "rename without ledger": _retried(rename_without_ledger),
    "ledger before upload": _retried(ledger_before_upload),
}


def _bytes(case: Case) -> bytes:
    return case.address.store.get("csv", case.parcel.export.sha256)


def _note(case: Case) -> None:
    """Durable, so that a control fails for its order and not for a lost note."""
    descriptor = os.open(case.address.home / f"{case.name}.sent", os.O_CREAT | os.O_WRONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _noted(case: Case) -> bool:
    return (case.address.home / f"{case.name}.sent").exists()
