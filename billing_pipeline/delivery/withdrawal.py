"""Taking a published file back, if the receiver has not taken it yet.

For the policy `all_or_nothing` alone (see there what it cannot promise). The file is renamed away from the receiver's
eyes first and looked at then, so that the receiver and we never both have it; it is removed last.
"""

from __future__ import annotations

from billing_pipeline.delivery.inbox import Inbox, NameTaken, NotFound
from billing_pipeline.delivery.ledger import Note, new_token
from billing_pipeline.delivery.machine import Run
from billing_pipeline.delivery.records import Delivery
from billing_pipeline.delivery.recovery import join
from billing_pipeline.delivery.store import sha256_of


def withdraw(delivery: Delivery, inbox: Inbox, run: Run, *, why: str) -> bool:
    """PUBLISHED → PLANNED, with the file out of the inbox. False where the receiver has it, or somebody else acted.

    Raises: DeliveryError; the delivery is then HELD, for whether the file is still there is not known.
    """
    if delivery.endpoint != run.endpoint:
        return False
    token = new_token()
    aside = join(delivery.remote_dir, f".{delivery.file_name}.{token}.tmp")
    begun = run.ledger.begin_withdrawal(
        delivery,
        token=token,
        temporary_path=aside,
        reason=f"it was being withdrawn ({why}), and whether {delivery.remote_path} was taken before is not known",
    )
    if begun is None:
        return False
    run.at_edge("withdrawing")
    try:
        inbox.rename(delivery.remote_path, aside)
    except NotFound:
        run.ledger.not_withdrawn(begun, Note("withdraw", "the receiver had taken it", outcome="failure"))
        return False
    run.at_edge("aside")
    if sha256_of(inbox.read(aside)) != delivery.sha256:
        _put_back(begun, inbox, run)
        return False
    withdrawn = run.ledger.withdrawn(begun, Note("withdraw", f"{delivery.remote_path}: {why}"))
    run.at_edge("withdrawn")
    inbox.remove(aside)
    return withdrawn is not None


def _put_back(begun: Delivery, inbox: Inbox, run: Run) -> None:
    """Ours was taken, and this is somebody else's file of the same name."""
    try:
        inbox.rename(begun.temporary_path, begun.remote_path)
        said = "the receiver had taken it; another file of that name was left where it was"
    except NameTaken:
        said = f"the receiver had taken it; another file of that name is now {begun.temporary_path}"
    run.ledger.not_withdrawn(begun, Note("withdraw", said, outcome="failure"))
