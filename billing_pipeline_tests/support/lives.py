"""Random lives of rows: an OMS that changes, rules that change, decisions and failures, months run in any order.

A *work* is what was really done, once; a row is what the OMS calls it today. Each work has net prices of its own, so
that EASY Bill's drafts alone tell whether one was billed twice, whatever ids it has had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from billing_pipeline.billing.standing import STANDINGS
from billing_pipeline.delivery.records import SENT_STATES
from billing_pipeline.oms.period import months_between, next_month
from billing_pipeline.problems import Code
from billing_pipeline.report.open_items import OpenItem
from billing_pipeline.sandbox.books import Books
from billing_pipeline.sandbox.importer import Importer
from billing_pipeline.steps.correction import NothingToCorrect
from billing_pipeline_tests.support.command_months import CommandMonths
from billing_pipeline_tests.support.plain_months import PlainMonths

FIRST, LAST, AFTER = "2026-02", "2026-04", "2026-05"
MONTHS = months_between(FIRST, LAST)
RULES = ("", 'billable_statuses = ["completed", "accepted"]\n', 'billable_statuses = ["accepted"]\n')
STATUSES = ("completed", "completed", "completed", "accepted", "cancelled")
ROUNDS = 15


@dataclass
class Work:
    """What was really done. `row`: its id in the OMS, None once deleted there. `renamed`: and nobody has said so."""

    number: int
    customer: str
    row: str | None
    month: str
    version: int = 1
    renamed: bool = False
    changed: bool = False


@dataclass
class Lives:
    """A world of customers: `step` lets things happen, `settle` does what an accountant would, `judge` looks."""

    folder: Path
    seed: int
    customers: int
    works: list[Work] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    work_of_name: dict[str, int] = field(default_factory=dict)
    accepts: float = 0.5
    hand: type[PlainMonths] = PlainMonths

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.months = self.hand(self.folder)
        self.books = Books(self.folder / "books.db")
        self.importer = Importer(self.folder / "share", self.books)
        for number in range(self.customers):
            self.months.oms.customer(f"{number:05d}")
            self._do(f"{number:05d}")
            self._do(f"{number:05d}")

    def step(self) -> None:
        """Something happens to a third of the customers, and one thing to all."""
        for number in range(self.customers):
            if self.random.random() < 0.35:
                self._change(f"{number:05d}")
        self.random.choice(
            (self._run_one, self._run_one, self._run_some, self._die, self._decide, self._rule, self._import)
        )()

    def replace_rows(self) -> int:
        """A month is billed and imported, and then every row of it has a new id; how many billed ones that were."""
        self._run(FIRST)
        self._import()
        billed = self.months.billed()
        replaced = [work for work in self.works if work.month == FIRST and work.row in billed]
        for work in replaced:
            self._change_work(work, "rename")
        return len(replaced)

    def check(self, first: str = FIRST, last: str = LAST) -> None:
        """Every row of these months has exactly one standing."""
        for one in self.months.audit(first, last):
            assert sum(one[name] for name in STANDINGS) == one["rows"], f"{self.seed}: {one}"

    def settle(self) -> None:
        """An accountant runs the months, goes through the list until nothing is left on it, and looks at the account.

        After the first round no month is run but those that the list names, and one after the other of the next, with
        which late rows are billed: what the list forgets is thus never billed, and `judge` finds it.
        """
        # Every correction reads the OMS: at the end most of what has changed is accepted as it was sent.
        self.accepts = 0.9
        for month in MONTHS:
            self._run(month)
        later = AFTER
        for _ in range(ROUNDS):
            self._run(later)
            self._import()
            items = self.months.open()
            if not items:
                # The list is as of each month's last run or audit.
                self.check()
                items = self.months.open()
                if not items:
                    return
            self._answer_all(items)
            for month in sorted({item.month for item in items if item.code == Code.PRICE_MISSING}):
                self._run(month)
            later = next_month(later)
        told = [(item.month, item.customer_number, item.code, item.message) for item in self.months.open()]
        raise AssertionError(f"{self.seed}: still open after {ROUNDS} rounds: {told}")

    def judge(self) -> None:
        """Each work is billed once, or its row says why not; and the drafts add up to what stands in the ledger."""
        drafts, _ = self.books.documents(lambda draft: draft.order_number not in self.removed)
        standing = {
            one.order_number: one.net
            for one in self.months.ledger.deliveries.standing()
            if one.state in SENT_STATES
        }
        imported = {draft.order_number: draft.net for draft in drafts}
        assert imported == standing, f"{self.seed}: {sorted(set(imported.items()) ^ set(standing.items()))}"
        nets = [int(item.price) // 119 for draft in drafts for item in draft.items]
        sold = Counter(net // 1000 for net in nets)
        assert sum(nets) * 100 == sum(standing.values()), self.seed
        unbilled = {row.source_id: row.standing for row in self.months.ledger.rows.current()}
        billed = self.months.billed()
        for work in self.works:
            about = f"{self.seed}: {work}, in {sold[work.number]} drafts, {unbilled.get(work.row or '')}"
            assert sold[work.number] <= 1, about
            # One that is left out may be billed under the id that it had before.
            if work.row in billed:
                assert sold[work.number] == 1, about
            elif work.row is not None:
                assert unbilled[work.row] in {"omitted", "not_billable"}, about

    def _change(self, customer: str) -> None:
        """One thing in the OMS. What has a new id keeps its month, customer and price, and what has another of these
        keeps its id: of a row that changes in all of it nobody could say what it was.
        """
        mine = [work for work in self.works if work.customer == customer and work.row is not None]
        if not mine or self.random.random() < 0.25:
            self._do(customer)
            return
        work = self.random.choice(mine)
        what = self.random.choice(
            ("delete", "status") if work.changed else ("rename", "rename", "delete", "status")
        )
        if not work.renamed:
            what = self.random.choice((what, what, "price", "no price", "move", "customer"))
        self._change_work(work, what)

    def _change_work(self, work: Work, what: str) -> None:
        row = work.row
        assert row is not None
        oms = self.months.oms
        work.changed |= what in {"price", "no price", "move", "customer"}
        match what:
            case "rename":
                work.row, work.renamed = self._name(work), True
                oms.change_service(row, service_id=work.row)
            case "delete":
                oms.remove_service(row)
                work.row = None
            case "status":
                oms.change_service(row, status=self.random.choice(STATUSES))
            case "price":
                oms.change_service(row, unit_price_net=self._new_price(work))
            case "no price":
                oms.change_service(row, unit_price_net=None)
            case "move":
                work.month = self.random.choice(MONTHS)
                oms.change_service(row, completed_at=self._instant(work.month))
            case "customer":
                work.customer = f"{self.random.randrange(self.customers):05d}"
                oms.change_service(row, customer_number=work.customer)

    def _do(self, customer: str) -> None:
        work = Work(len(self.works) + 1, customer, None, self.random.choice(MONTHS))
        work.row = self._name(work)
        self.works.append(work)
        self.months.oms.service(
            work.row,
            customer,
            completed_at=self._instant(work.month),
            unit_price_net=self._new_price(work),
            vat_percent="19.00",
            status=self.random.choice(STATUSES),
        )

    def _new_price(self, work: Work) -> str:
        work.version += 1
        return f"{work.number * 1000 + work.version}.00"

    def _name(self, work: Work) -> str:
        name = f"R-{len(self.work_of_name)}"
        self.work_of_name[name] = work.number
        return name

    def _instant(self, month: str) -> str:
        return f"{month}-{self.random.randrange(2, 28):02d}T08:00:00Z"

    def _run(self, month: str, *customers: str) -> None:
        self.months.run(month, customers=customers, accept_new_ids=True)

    def _run_one(self) -> None:
        self._run(self.random.choice(MONTHS))

    def _run_some(self) -> None:
        chosen = self.random.sample(range(self.customers), k=max(1, self.customers // 4))
        self._run(self.random.choice(MONTHS), *(f"{number:05d}" for number in chosen))

    def _die(self) -> None:
        """A run that dies before it sends anything."""
        self.months.bill(self.random.choice(MONTHS), accept_new_ids=True)

    def _rule(self) -> None:
        self.months.rules(self.random.choice(RULES))

    def _import(self) -> None:
        self.importer.import_now()

    def _decide(self) -> None:
        """A few items are answered, something is left out, and something is undone."""
        items = self.months.open()
        self._answer_all(self.random.sample(items, k=min(len(items), 5)))
        billed = self.months.billed()
        free = [work for work in self.works if work.row is not None and work.row not in billed]
        for work in self.random.sample(free, k=min(len(free), 2)):
            self.months.omit(work.month, work.row or "")
        standing = self.months.ledger.deliveries.standing()
        if standing:
            self._withdraw(self.random.choice(standing).order_number)

    def _withdraw(self, order_number: str) -> None:
        if self.months.withdraw(order_number):
            self.removed.add(order_number)

    def _answer_all(self, items: Sequence[OpenItem]) -> None:
        """Item by item, without those that another's answer has settled."""
        still_open = set(items)
        of_order = Counter(item.order_number for item in items if item.order_number)
        for item in items:
            if item in still_open and (self._answer(item) or of_order[item.order_number] > 1):
                still_open = set(self.months.open())

    def _answer(self, item: OpenItem) -> bool:
        """What an accountant does about one item, who knows what was really done; whether it may settle others too."""
        work = next((one for one in self.works if one.row is not None and one.row == item.source_id), None)
        match item.code:
            case Code.POSSIBLE_REPLACEMENT | Code.RULE_CHANGED | Code.STATUS_UNKNOWN if work is not None:
                self._admit(item, work)
                return False
            case Code.CHANGED_AFTER_DELIVERY:
                return self._correct(item)
            case Code.DRAFT_TO_REMOVE:
                self._withdraw(item.order_number)
            case Code.PRICE_MISSING:
                for one in self.works:
                    if one.row is not None and one.customer == item.customer_number:
                        self.months.oms.price_if_missing(one.row, self._new_price(one))
            case _:
                self._run(item.month, item.customer_number)
        return True

    def _admit(self, item: OpenItem, work: Work) -> None:
        old = next(
            (
                name
                for name in self.months.billed()
                if self.work_of_name[name] == work.number and name != work.row
            ),
            "",
        )
        self.months.admit(item, old)
        work.renamed = False

    def _correct(self, item: OpenItem) -> bool:
        """Accepts an order as it was sent, or sends the month anew: then True."""
        order = self.months.ledger.deliveries.of_order(item.order_number)
        assert order is not None, item
        if self.random.random() < self.accepts:
            self.months.accept(item.order_number)
            return False
        try:
            corrected = self.months.correct(order.month, order.customer_number)
        except NothingToCorrect:
            self.months.accept(item.order_number)
            return False
        if not corrected.is_settled and not corrected.problems:
            # Nothing is left to bill, and the receiver has taken the file: the draft is deleted by hand.
            self._withdraw(order.order_number)
        return True


def live(folder: Path, seed: int, *, customers: int, steps: int) -> None:
    """One world from its beginning to its settled end; after each step a month of it is audited, by turns."""
    lives = Lives(folder, seed, customers)
    go_through(lives, steps)


def live_by_command(folder: Path, seed: int, *, customers: int, steps: int) -> Lives:
    """As `live`, by the command line. Few rows would seldom be replaced: this world begins with some that are."""
    lives = Lives(folder, seed, customers, hand=CommandMonths)
    assert lives.replace_rows() > 0, f"{seed}: nothing was billed of {FIRST}: take another seed"
    go_through(lives, steps)
    return lives


def go_through(lives: Lives, steps: int) -> None:
    """The steps, the settled end, and the judgement."""
    for number in range(steps):
        lives.step()
        month = MONTHS[number % len(MONTHS)]
        lives.check(month, month)
    lives.settle()
    lives.judge()
