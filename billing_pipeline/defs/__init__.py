"""The Dagster shell: partitions, assets, checks, jobs, schedules, sensors, resources.

Asset bodies read their partition, call a room, and record the result; what is right and wrong is decided in the
rooms. No module here may say `from __future__ import annotations`: it hides the context's type from Dagster.
"""
