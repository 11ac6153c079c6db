"""The ledger: the one record that decides whether something may be sent, in SQLite or PostgreSQL.

`open_ledger` is the way in; the parts of `Ledger` are its questions and its changes, by what they are about. Nothing
in it is ever deleted.
"""

from __future__ import annotations

from billing_pipeline.delivery.ledger.account_requests import AccountRequests
from billing_pipeline.delivery.ledger.adjustment_records import Adjustments
from billing_pipeline.delivery.ledger.admissions import Admissions
from billing_pipeline.delivery.ledger.approvals import Approvals
from billing_pipeline.delivery.ledger.billings import Billings
from billing_pipeline.delivery.ledger.database import (
    Clock,
    Database,
    LedgerTooNew,
    LedgerUnavailable,
    make_engine,
    utc_now,
)
from billing_pipeline.delivery.ledger.deliveries import Deliveries
from billing_pipeline.delivery.ledger.events import Events, Note
from billing_pipeline.delivery.ledger.first_plans import FirstPlans
from billing_pipeline.delivery.ledger.migrate import migrate
from billing_pipeline.delivery.ledger.month_looks import MonthLooks
from billing_pipeline.delivery.ledger.month_reports import MonthReports
from billing_pipeline.delivery.ledger.months import Months
from billing_pipeline.delivery.ledger.omission_records import Omissions
from billing_pipeline.delivery.ledger.plans import PlanContended, Plans, Refusal, new_token
from billing_pipeline.delivery.ledger.releases import Releases
from billing_pipeline.delivery.ledger.row_standings import RowStandings
from billing_pipeline.delivery.ledger.rows_billed import BilledRows
from billing_pipeline.delivery.ledger.seals import Seals
from billing_pipeline.delivery.ledger.sightings import Sightings
from billing_pipeline.delivery.ledger.transitions import Transitions

__all__ = [
    "Clock",
    "Ledger",
    "LedgerTooNew",
    "LedgerUnavailable",
    "Note",
    "PlanContended",
    "Refusal",
    "new_token",
    "open_ledger",
    "utc_now",
]


class Ledger:
    """One ledger, on one pooled engine; safe for several threads and processes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.where = database.where
        """Where it is, for people: the URL without its password."""
        self.billings = Billings(database)
        """Which stored frames belong together, for each time that a month was billed."""
        self.months = Months(database)
        """Who is in a month, what the last export made of them, and how their last delivery ended."""
        self.deliveries = Deliveries(database)
        """What was sent, or is about to be: questions only."""
        self.billed = BilledRows(database)
        """Which rows that bills: questions only."""
        self.plans = Plans(database)
        """Planning a delivery: its bytes and the rows that it bills, as one."""
        self.first_plans = FirstPlans(database)
        """The same for many at once, of which nothing is known yet."""
        self.transitions = Transitions(database)
        """From state to state, each a compare-and-set."""
        self.releases = Releases(database)
        """What people decide about a delivery that is held."""
        self.omissions = Omissions(database)
        self.adjustments = Adjustments(database)
        self.rows = RowStandings(database)
        """What became of the rows that are not simply billed, and the account of each month's rows."""
        self.looks = MonthLooks(database)
        """The last look at each month, so that the next one may be short."""
        self.admissions = Admissions(database)
        """Rows that were set aside, and that people let be billed."""
        self.approvals = Approvals(database)
        """Which exact files of a month a person lets be sent."""
        self.reports = MonthReports(database)
        """Which facts the reports of a month have told."""
        self.seals = Seals(database)
        """What stood delivered of each month, sealed in one chain."""
        self.sightings = Sightings(database)
        """Files that a person had looked at in the inbox, and that the ledger did not know."""
        self.requests = AccountRequests(database)
        """Whose turn it is to ask EASY Bill."""
        self.events = Events(database)
        """The append-only log."""

    def close(self) -> None:
        """Give back the pooled connections; the ledger can still be used afterwards."""
        self.database.close()


def open_ledger(url: str, *, clock: Clock = utc_now) -> Ledger:
    """The ledger behind an SQLAlchemy URL, brought to the current schema.

    Several processes may open an empty one at once. Raises: UsageError for a URL that cannot be one,
    LedgerUnavailable, LedgerTooNew.
    """
    engine = make_engine(url)
    migrate(engine)
    return Ledger(Database(engine, clock=clock))
