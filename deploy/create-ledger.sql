-- The ledger has a database of its own, so that it can be backed up and restored apart from Dagster's records.
CREATE DATABASE ledger;
