"""On PYTHONPATH of a test's `dagster dev`: its daemon looks every 2 seconds for backfills, not every 30.

There is no setting for it, and three looks make a backfill of months and customers. Nothing else is changed.
"""

from dagster._daemon import controller

controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 2
