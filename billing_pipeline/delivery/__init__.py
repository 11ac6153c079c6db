"""Bytes to a verified remote file, or a draft, at most once; the ledger alone decides what may be sent."""
