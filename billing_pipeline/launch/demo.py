"""The demo: a made-up company, EASY Bill in a box on loopback, and the last complete month between them.

The demo's settings are its own: what the environment or `.env` say of an inbox or an OMS is left out, so that it can
never reach a real one. Only `BILLING_HOME`, where it is set, says where it lives.
"""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from billing_pipeline.delivery.records import Delivery, State
from billing_pipeline.launch.instance import prepare_instance
from billing_pipeline.launch.read_back import read_back
from billing_pipeline.launch.run_month import run_month, status_now
from billing_pipeline.local_time import local_day
from billing_pipeline.money import format_minor
from billing_pipeline.oms.demo import MONTHS, demo_oms_months
from billing_pipeline.oms.period import last_complete_month
from billing_pipeline.problems import PipelineError
from billing_pipeline.progress import Steps
from billing_pipeline.report.month import MonthStatus
from billing_pipeline.report.open_items import OpenItem
from billing_pipeline.report.text import summary_lines
from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.sandbox.drafts import Draft
from billing_pipeline.settings import PREFIX, Settings, load_settings
from billing_pipeline.steps.open_list import OpenList, open_list
from billing_pipeline.steps.wiring import build_wiring
from billing_pipeline.store.home import first_use

DEFAULT_HOME = ".billing/demo"
SHUTDOWN_S = 60


@dataclass(frozen=True)
class DemoResult:
    """The demo month, and how EASY Bill's drafts compare with the files, to the cent.

    `confirmed`: drafts read back over the API and found equal, in `requests` requests, of which the account allows
    `requests_per_minute`. `drafts` and `differences` are by the sandbox's own books.
    """

    status: MonthStatus
    open: OpenList
    confirmed: int
    requests: int
    requests_per_minute: int
    drafts: int
    differences: tuple[str, ...]
    home: Path
    language: str
    timezone: str
    error: PipelineError | None = None

    @property
    def ties(self) -> bool:
        """Every file has a draft, every draft a file, and all amounts are equal, here and there."""
        delivered = self.status.counts["delivered"] + self.status.counts["unchanged"]
        return not self.differences and self.error is None and self.confirmed == delivered

    def lines(self) -> Iterator[str]:
        """The totals, and how the drafts compare, for people."""
        yield from summary_lines(self.status, language=self.language)
        yield (
            f"  Read back over EASY Bill's API: {self.confirmed} drafts equal to the files, to the cent "
            f"(requests: {self.requests}, allowed a minute: {self.requests_per_minute})"
        )
        yield f"  EASY Bill's sandbox has {self.drafts} drafts of it: " + (
            "equal to the files, to the cent" if not self.differences else "NOT equal to the files"
        )
        yield from (f"    {difference}" for difference in self.differences)
        yield from self._open_lines()
        yield f"  Look at it: make ui, or BILLING_HOME={self.home} billing-pipeline status {self.status.month}"

    def _open_lines(self) -> Iterator[str]:
        """What is open, and since when: how often each code, the oldest first."""
        if not self.open.items:
            yield "  Nothing is open."
            return
        yield f"  Open, of all months ({len(self.open.items)}; `status` without a month lists them):"
        by_code: dict[str, list[OpenItem]] = {}
        for item in self.open.items:
            by_code.setdefault(item.code, []).append(item)
        for code, items in sorted(by_code.items(), key=lambda pair: min(item.since for item in pair[1])):
            since = min(item.since for item in items)
            yield f"    {code}: {len(items)}, since {local_day(since, self.timezone)}"


def run_demo(*, progress: Steps) -> DemoResult:
    """Makes the demo OMS, starts the sandbox, bills the last complete month, and reads its drafts back."""
    with _running_demo(progress) as (settings, sandbox):
        month = last_complete_month(datetime.now(UTC), settings.timezone)
        result = run_month(settings, month, progress=progress)
        sandbox.import_now()
        read_back(settings, month)
        wiring = build_wiring(settings)
        deliveries = wiring.ledger.open().deliveries.of_month(month)
        drafts = {draft.order_number: draft for draft in sandbox.drafts()}
        in_month = [draft for number, draft in drafts.items() if number.startswith(f"{month}-")]
        return DemoResult(
            open=open_list(wiring.ledger.open(), wiring.billing.rules, settings.first_month),
            status=status_now(wiring, month),
            confirmed=sum(map(_is_confirmed, deliveries)),
            requests=len(sandbox.journal.exchanges),
            requests_per_minute=settings.easybill_requests_per_minute,
            drafts=len(in_month),
            differences=tuple(_differences(deliveries, drafts, month, wiring.billing.rules.language)),
            home=settings.home,
            language=wiring.billing.rules.language,
            timezone=settings.timezone,
            error=result.error,
        )


def serve_ui(port: int) -> int:
    """Dagster's web UI and daemon on the demo, with its sandbox, until they are stopped. Returns their status."""
    with _running_demo(Steps(sys.stderr, None)) as (settings, sandbox):
        prepare_instance(settings)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment |= _demo_environment(settings.home, sandbox) | {
            "DAGSTER_HOME": str(settings.dagster_home)
        }
        print(f"Dagster's web UI on the demo: http://127.0.0.1:{port}  (Ctrl-C ends it)", flush=True)
        command = [
            *(sys.executable, "-m", "dagster", "dev"),
            *("-m", "billing_pipeline.definitions"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ]
        # To be ended by a service manager is no different from Ctrl-C: what was started must end too. SIGINT as well,
        # for a process that is started with it ignored hands that on, and Dagster would never hear of it.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)
        with subprocess.Popen(command, env=environment) as dagster:
            try:
                return dagster.wait()
            except KeyboardInterrupt:
                # On a terminal Ctrl-C has reached it already; a second one is how it is told otherwise. Its own
                # processes end with it, if it is left the time.
                dagster.send_signal(signal.SIGINT)
                dagster.wait(timeout=SHUTDOWN_S)
                return 0


@contextmanager
def _running_demo(progress: Steps) -> Iterator[tuple[Settings, Sandbox]]:
    home = Path(os.environ.get("BILLING_HOME") or DEFAULT_HOME).absolute()
    settings = load_settings({"BILLING_HOME": str(home)})
    month = last_complete_month(datetime.now(UTC), settings.timezone)
    with first_use(home):
        _make_oms(settings.demo_oms_file, month, progress)
    with Sandbox(home / "sandbox", sftp_port=0) as sandbox:
        _introduce_customers(settings.demo_oms_file, sandbox, progress)
        yield load_settings(_demo_environment(home, sandbox)), sandbox


def _demo_environment(home: Path, sandbox: Sandbox) -> dict[str, str]:
    oms = load_settings({"BILLING_HOME": str(home)}).demo_oms_file
    return {"BILLING_HOME": str(home), "BILLING_OMS_URL": f"sqlite:///{oms}", **sandbox.settings()}


def _make_oms(file: Path, month: str, progress: Steps) -> None:
    """The demo OMS up to `month`; one that was made for an earlier month is made anew, with the months since."""
    made_for = file.with_suffix(".month")
    if file.exists() and made_for.exists() and made_for.read_text(encoding="utf-8") == month:
        return
    for _ in progress.over(demo_oms_months(file, until_month=month), "demo OMS, months made", MONTHS):
        pass
    made_for.write_text(month, encoding="utf-8")


def _introduce_customers(oms: Path, sandbox: Sandbox, progress: Steps) -> None:
    """EASY Bill has every customer of the demo OMS, as an accountant has entered them."""
    known = {customer.number for customer in sandbox.customers()}
    with closing(sqlite3.connect(oms)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute(
            "SELECT customer_number, company_name, first_name, last_name, street, zip_code, city, country"
            " FROM customers WHERE NOT is_test"
        ).fetchall()
    new = [dict(row) for row in rows if row["customer_number"] not in known]
    for row in progress.over(new, "customers entered in EASY Bill", len(new)) if new else ():
        number = row.pop("customer_number")
        sandbox.add_customer(number, **{column: cell for column, cell in row.items() if cell})


def _is_confirmed(delivery: Delivery) -> bool:
    return delivery.state is State.CONFIRMED and delivery.held_code is None


def _differences(
    deliveries: Collection[Delivery], drafts: dict[str, Draft], month: str, language: str
) -> Iterator[str]:
    """How the sandbox's books differ from what was sent; the demo's currencies all have hundredths."""
    sent = {delivery.order_number: delivery for delivery in deliveries if delivery.published_at is not None}
    for order_number, delivery in sent.items():
        draft = drafts.get(order_number)
        if draft is None:
            yield f"{order_number}: no draft"
        elif (draft.net, draft.vat, draft.gross) != (delivery.net, delivery.vat, delivery.gross):
            there, here = (
                ", ".join(
                    f"{name} {format_minor(getattr(one, name), one.currency, language)}"
                    for name in ("net", "vat", "gross")
                )
                for one in (draft, delivery)
            )
            yield f"{order_number}: the draft has {there}; the file {here}"
    for order_number in sorted(drafts.keys() - sent.keys()):
        if order_number.startswith(f"{month}-"):
            yield f"{order_number}: a draft without a file"
