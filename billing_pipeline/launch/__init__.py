"""Dagster started in this process: a month, a correction, a read-back, the demo and its UI."""
