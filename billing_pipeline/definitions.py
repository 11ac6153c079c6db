"""What Dagster loads: the code location's definitions, made when they are asked for, by the environment's settings."""

import dagster as dg

from billing_pipeline.defs.build import build_defs
from billing_pipeline.settings import load_settings


@dg.definitions
def defs() -> dg.Definitions:
    """Assets, checks, jobs, schedules and sensors. Raises: UsageError where a setting, rules or layout is wrong."""
    return build_defs(load_settings())
