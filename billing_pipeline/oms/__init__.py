"""Reads one month from the order management system (OMS) and validates every row; see `extract.extract_month`."""
