"""The Dagster shell: partitions, assets, checks, jobs, schedules, sensors.

An asset body reads its partition, calls a step, and records the result. No module here may say
`from __future__ import annotations`: it hides the context's type from Dagster.
"""
