"""Reads one month from the order management system and proves its shape; see `extract.extract_month`."""
