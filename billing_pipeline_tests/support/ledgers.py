"""Bringing a delivery to a state, edge by edge; None goes through, as a lost edge does."""

from __future__ import annotations

from billing_pipeline.delivery.ledger import Ledger, Note, Refusal, new_token, utc_now
from billing_pipeline.delivery.records import Delivery, Parcel

DONE = Note("test", "done")


def planned(ledger: Ledger, parcel: Parcel) -> Delivery:
    answer = ledger.plans.plan(parcel, run_id="run", lease_s=0, now=utc_now())
    assert not isinstance(answer, Refusal), answer
    return answer


def taken(ledger: Ledger, delivery: Delivery, *, token: str = "", holder: str = "") -> Delivery | None:
    token = token or new_token()
    return ledger.transitions.take(
        delivery,
        token=token,
        temporary_path=f"/import/.{delivery.file_name}.{token}.tmp",
        remote_path=f"/import/{delivery.file_name}",
        remote_dir="/import",
        transport="fake",
        endpoint="fake://inbox",
        holder=holder,
        run_id="run",
    )


def committed(ledger: Ledger, delivery: Delivery | None) -> Delivery | None:
    return delivery and ledger.transitions.commit(delivery, DONE)


def published(ledger: Ledger, delivery: Delivery | None) -> Delivery | None:
    return delivery and ledger.transitions.publish(delivery, DONE)
