"""Bytes → a verified remote file, at most once: the ledger, the state machine, and the transports below it.

What may be sent is decided by the ledger alone. Nothing here knows how a file is made or how Dagster runs.
"""
