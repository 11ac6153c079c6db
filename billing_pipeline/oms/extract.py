"""One month of the OMS, read in one snapshot and proven row by row: the frozen input of everything after it.

Belongs here: which rows make up a month's extract, and their order. Does not: how a database is read (`source`),
how text becomes typed (`conform`) or what a good row is (`schemas`); nor what of it is billed (`billing/`).
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Extract:
    """The four relations of the contract, Arrow-typed (`Relation.frame_schema`), each sorted by its key.

    `faults` of a row: null where it is fine, else a JSON list of {"code", "field", "value", "message"}. A cell
    that cannot be typed is null, and its text stands in the fault. `month` of a service or fee: its own month in
    the billing time zone; null where its instant tells none.
    """

    customers: pd.DataFrame
    services: pd.DataFrame
    service_tasks: pd.DataFrame
    cancellation_fees: pd.DataFrame
