"""Imported once by the process that children are forked from: one delivery, so that each child finds all of it ready.

SQLAlchemy compiles statements at their first use, Alembic its scripts, paramiko its tables; a child that lives for a
tenth of a second would spend half of that on them. Leaves neither a file nor a thread behind.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.transports.folder import FolderTransport
from billing_pipeline_tests.faults import children
from billing_pipeline_tests.faults.world import Account, World, child_context
from billing_pipeline_tests.support.delivering import context_over, deliver_over

__all__ = ["children"]


def _deliver_once(folder: Path) -> None:
    nobody = Account("sftp", 22, "nobody", folder / "none")
    local = folder / "server"
    world = World(nobody, f"sqlite:///{folder}/home/ledger.db", folder / "home", local, "/", child_context())
    case = world.case(700, "ignore", random.Random(0))
    transport = FolderTransport(local)
    parcel, address = case.parcel, case.address
    context = context_over(
        transport, world.ledger, world.store, run_id="warm", places=Places(address.remote_dir)
    )
    results = deliver_over([parcel], transport, context, connections=1)
    if [result.outcome for result in results] != ["delivered"]:
        raise RuntimeError("the bench's own delivery to a folder failed")
    world.ledger.close()


with tempfile.TemporaryDirectory() as temporary:
    _deliver_once(Path(temporary))
