"""The months of an installation by the command line alone, Dagster included, in this process."""

from __future__ import annotations

from typing import Any

from billing_pipeline.report.month import MonthStatus
from billing_pipeline.report.open_items import OpenItem
from billing_pipeline.steps.correction import Corrected, NothingToCorrect
from billing_pipeline_tests.support.installation import Answer
from billing_pipeline_tests.support.plain_months import PlainMonths

BY = ("--by", "Ann")
WELL, NEEDS_A_PERSON, USAGE = 0, 1, 2


class CommandMonths(PlainMonths):
    """What changes anything is a command; what is looked at afterwards is read from the ledger."""

    def command(self, *arguments: str, also: int = WELL) -> Answer:
        """A command that goes well, or ends with this other status."""
        answer = self.installation.command(*arguments)
        assert answer.status in {WELL, also}, f"{arguments}: {answer}"
        return answer

    def run(self, month: str, **options: Any) -> MonthStatus:
        """`run`, of a month of any size, over or not."""
        chosen = [part for number in options.get("customers", ()) for part in ("--customer", number)]
        new_ids = ["--accept-new-ids"] if options.get("accept_new_ids") else []
        self.command("run", month, "--force", "--before-end", *new_ids, *chosen, also=NEEDS_A_PERSON)
        return self.status(month)

    def bill(self, month: str, **options: Any) -> int:
        """A look at a month, of which nothing is sent: on the command line nothing bills without sending."""
        new_ids = ["--accept-new-ids"] if options.get("accept_new_ids") else []
        self.command("run", month, "--dry-run", "--before-end", *new_ids, also=NEEDS_A_PERSON)
        return 0

    def correct(self, month: str, customer_number: str = "10023") -> Corrected:
        """`correct`; what it says of itself."""
        order = self.ledger.deliveries.last_sent(month)[customer_number]
        answer = self.installation.command(
            *("correct", month, "--customer", customer_number, "--reason", "mended", *BY, "--json")
        )
        if answer.status == USAGE:
            raise NothingToCorrect(answer.err)
        assert answer.status in {WELL, NEEDS_A_PERSON}, answer
        told = answer.json()
        status = self.customer(month, customer_number) if told["customer"] else None
        problems = status.problems if status else ()
        return Corrected(order, status=status, problems=problems, taken_back=told["replaces"]["taken_back"])

    def admit(self, item: OpenItem, same_as: str) -> None:
        """`admit`."""
        same = ("--same-as", same_as) if same_as else ()
        row = ("--customer", item.customer_number, "--service", item.source_id)
        self.command("admit", item.month, *row, *same, "--reason", "it was done", *BY)

    def omit(self, month: str, service_id: str) -> None:
        """`omit add`."""
        self.command("omit", "add", month, "--service", service_id, "--reason", "left out", *BY)

    def accept(self, order_number: str) -> None:
        """`release --as delivered`."""
        self.command("release", order_number, "--as", "delivered", "--reason", "as it was sent", *BY)

    def withdraw(self, order_number: str) -> bool:
        """`release --as withdrawn`; False where it is refused, for the file still lies in the inbox."""
        answer = self.command(
            "release", order_number, "--as", "withdrawn", "--reason", "draft deleted", *BY, also=USAGE
        )
        return answer.status == WELL

    def audit(self, first: str, last: str) -> list[dict[str, Any]]:
        """`audit --json`."""
        answer = self.command("audit", "--from", first, "--to", last, "--json", also=NEEDS_A_PERSON)
        months: list[dict[str, Any]] = answer.json()["months"]
        return months
