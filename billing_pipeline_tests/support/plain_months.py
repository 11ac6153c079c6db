"""An installation whose months run by the steps alone, without Dagster: a month costs milliseconds."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from billing_pipeline.delivery.ledger import Ledger
from billing_pipeline.delivery.records import BillingKind, Export
from billing_pipeline.report.month import CustomerStatus, MonthStatus, month_status
from billing_pipeline.report.open_items import OpenItem
from billing_pipeline.steps.admit import admit_rows
from billing_pipeline.steps.audit import audit
from billing_pipeline.steps.bill_month import bill_part, keep
from billing_pipeline.steps.correction import Corrected, work_out_correction
from billing_pipeline.steps.make_files import Correction, deliver_files, make_files
from billing_pipeline.steps.open_list import open_list
from billing_pipeline.steps.wiring import Wiring, build_wiring
from billing_pipeline.steps.withdrawal import StillThere, take_back, withdraw_order
from billing_pipeline_tests.support.installation import Installation


class PlainMonths:
    """`oms` is empty at first. Rules may change between two runs (`rules`)."""

    def __init__(self, folder: Path, *, rules: str = "", **settings: str) -> None:
        self.installation = Installation(folder, rules=rules or "# none\n", **settings)
        self.oms = self.installation.oms

    @classmethod
    def on(cls, installation: Installation) -> PlainMonths:
        """The months of an installation that is there."""
        made = cls.__new__(cls)
        made.installation, made.oms = installation, installation.oms
        return made

    @cached_property
    def wiring(self) -> Wiring:
        """As the settings and rules are now."""
        return self.installation.do(build_wiring)

    @property
    def ledger(self) -> Ledger:
        """The one ledger of this process."""
        return self.wiring.ledger.open()

    def rules(self, toml: str) -> None:
        """Other rules from now on."""
        (self.installation.folder / "rules.toml").write_text(toml or "# none\n", encoding="utf-8")
        self.__dict__.pop("wiring", None)

    def bill(
        self, month: str, *, customers: tuple[str, ...] = (), services: tuple[str, ...] = (), **options: Any
    ) -> int:
        """Bills a month or a part of it, and returns the billing's number; nothing is sent."""
        billed = bill_part(self.wiring, month, customers=customers, services=services, **options)
        kind: BillingKind = "part" if customers or services else "complete"
        return keep(billed, self.wiring, month, kind=kind, run_id=str(uuid4())).id

    def deliver(self, month: str, billing_id: int, *, correction: Correction | None = None) -> None:
        """Makes and sends the files of a billing."""
        made_of = self.ledger.billings.get(billing_id)
        assert made_of is not None
        numbers = list(made_of.customers) or [
            row.export.customer_number for row in self.ledger.months.customers(month)
        ]
        wiring, run_id = self.wiring, str(uuid4())
        made = make_files(
            numbers,
            month,
            billing_id=billing_id,
            frames=wiring.frames,
            ledger=wiring.ledger,
            blobs=wiring.blobs,
            billing=wiring.billing,
            run_id=run_id,
            correcting=correction is not None,
        )
        self.send(month, made.exports, checked=made.checked, correction=correction)

    def send(
        self,
        month: str,
        exports: list[Export],
        *,
        checked: frozenset[tuple[str, str]] = frozenset(),
        correction: Correction | None = None,
    ) -> None:
        """Sends files that were made before."""
        wiring = self.wiring
        for _ in deliver_files(
            exports,
            month,
            frames=wiring.frames,
            ledger=wiring.ledger,
            blobs=wiring.blobs,
            billing=wiring.billing,
            channel=wiring.channel,
            easybill=wiring.easybill,
            run_id=str(uuid4()),
            month_is_over=True,
            checked=checked,
            correction=correction,
        ):
            pass

    def run(self, month: str, **options: Any) -> MonthStatus:
        """Bills and sends a month, or a part of it."""
        self.deliver(month, self.bill(month, **options))
        return self.status(month)

    def run_json(self, month: str, **options: Any) -> dict[str, Any]:
        """Bills and sends a month, or a part of it: what `run --json` says of all its customers, as `status` does."""
        self.run(month, **options)
        told: dict[str, Any] = self.installation.command("status", month, "--json").json()
        return told

    def correct(self, month: str, customer_number: str = "10023") -> Corrected:
        """Sends a customer's month anew."""
        draft = work_out_correction(self.wiring, month, customer_number)
        if draft.changes is None and not draft.nothing_left:
            return Corrected(draft.replaced, problems=draft.problems)
        taken_back = take_back(self.wiring, draft.replaced, reason="mended", author="Ann")
        if draft.changes is None:
            return Corrected(draft.replaced, taken_back=taken_back)
        self.deliver(month, draft.keep(self.wiring).id, correction=Correction("mended", "Ann"))
        (customer,) = self.status(month).only([customer_number]).customers
        return Corrected(draft.replaced, draft.changes, customer, customer.problems, None, taken_back)

    def admit(self, item: OpenItem, same_as: str) -> None:
        """Lets a row be billed that was set aside, or says that it is a billed one under another id."""
        reason = "it is the same work" if same_as else "it was done"
        admit_rows(
            self.wiring,
            item.month,
            item.customer_number,
            services=[item.source_id],
            same_as=same_as,
            reason=reason,
            author="Ann",
        )

    def omit(self, month: str, service_id: str) -> None:
        """Leaves a service out of its month."""
        self.ledger.omissions.add(month=month, service_id=service_id, reason="left out", author="Ann")

    def accept(self, order_number: str) -> None:
        """Says that an order stands as it was sent."""
        self.ledger.releases.release(order_number, as_="delivered", reason="as it was sent", author="Ann")

    def withdraw(self, order_number: str) -> bool:
        """Says that the draft is gone; False where the file still lies in the inbox."""
        try:
            withdraw_order(self.wiring, order_number, reason="draft deleted", author="Ann")
        except StillThere:
            return False
        return True

    def audit(self, first: str, last: str) -> list[dict[str, Any]]:
        """Each month's account, as `audit --json` has it."""
        months: list[dict[str, Any]] = audit(self.wiring, first, last).as_json()["months"]
        return months

    def status(self, month: str) -> MonthStatus:
        """The month as the ledger knows it."""
        return month_status(
            month, self.ledger.months.customers(month), self.ledger.deliveries.of_month(month)
        )

    def customer(self, month: str, customer_number: str = "10023") -> CustomerStatus:
        """A customer's month as the ledger knows it."""
        (found,) = self.status(month).only([customer_number]).customers
        return found

    def open(self) -> tuple[OpenItem, ...]:
        """All that needs a person."""
        return open_list(self.ledger, self.wiring.billing.rules, self.wiring.billing.first_month).items

    def billed(self) -> dict[str, str]:
        """Each row that stands billed, and by which order."""
        months = self.ledger.months.known()
        return {row.source_id: row.order_number for row in self.ledger.billed.rows(months)}


def run_plainly(installation: Installation, month: str, **options: Any) -> dict[str, Any]:
    """A month billed and sent by the steps alone: what `run --json` would say of all its customers."""
    return PlainMonths.on(installation).run_json(month, **options)
