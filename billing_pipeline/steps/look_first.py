"""Looks for what is about to be sent again: what a person says was not received may lie in the inbox all the same."""

from __future__ import annotations

from billing_pipeline.delivery.records import Delivery, State
from billing_pipeline.easybill.draft_comparison import days_of_documents
from billing_pipeline.problems import UsageError
from billing_pipeline.settings import Settings
from billing_pipeline.steps.wiring import Wiring, build_wiring


class StillThere(UsageError):
    """The order that a person releases to be sent again lies in the inbox or the archive, or EASY Bill has it."""


def require_gone(settings: Settings, order_number: str) -> None:
    """Raises: StillThere; DeliveryError or ApiError where it cannot be looked for; LedgerUnavailable."""
    wiring = build_wiring(settings)
    delivery = wiring.ledger.open().deliveries.of_order(order_number)
    if delivery is None or delivery.state is not State.HELD:
        return
    found = where_it_is(delivery, wiring)
    if found:
        raise StillThere(
            f"{order_number} is not released, for it is there: {', '.join(found)}. If that is ours, "
            f"`billing-pipeline release {order_number} --as delivered --reason TEXT --by NAME`; otherwise remove it "
            "there first"
        )


def where_it_is(delivery: Delivery, wiring: Wiring) -> list[str]:
    """Inbox, archive and, with a key, EASY Bill: where a file or document of this order is, in words."""
    found = wiring.channel.open().places_of(delivery)
    if wiring.easybill.is_configured:
        with wiring.easybill.open_logged(wiring.ledger.open(), month=delivery.month, run_id="") as api:
            for document in api.documents(dated=days_of_documents(delivery.month)):
                if delivery.order_number in {document.order_number, document.external_id}:
                    found.append(f"document {document.id} of EASY Bill ({api.link(document)})")
    return found
