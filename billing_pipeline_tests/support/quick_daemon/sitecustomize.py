"""On PYTHONPATH of a test's Dagster: its daemon looks every 2 seconds for backfills, not every 30.

There is no setting for it, and three looks make a backfill of months and customers. Nothing else is changed, and no
other process loads Dagster for it: of the short-lived ones that watch over a run there are two for each.
"""

import sys

if any(word == "dagster._daemon" or word.endswith("dagster-daemon") for word in sys.orig_argv):
    from dagster._daemon import controller

    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 2
