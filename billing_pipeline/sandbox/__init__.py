"""EASY Bill in a box, on loopback: inbox, importer and REST API, for the demo and for tests.

A second opinion on what the pipeline sends, and so independent of it: this room imports no other room, not even
`money` or `problems`, and has its own reader of the CSV and its own arithmetic. Where EASY Bill's behaviour is
not documented the sandbox takes the stricter view, so that what passes here is not refused there for its form.
It is no substitute for a trial with the real account: it knows what is published, and nothing more.
"""
