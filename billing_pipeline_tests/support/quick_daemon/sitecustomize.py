"""On PYTHONPATH of a test's Dagster: what has no setting there, and would make tests of many runs wait.

Its daemon looks every 2 seconds for backfills, not every 30, and its code server starts runs from a process in which
the code is loaded already; each is a process of its own still. Nothing else is changed, and no other process loads
anything for it: of the short-lived ones that watch over a run there are two for each.
"""

import multiprocessing
import sys
from typing import Any

_context_of: Any = multiprocessing.get_context


def _forking(method: str | None = None) -> Any:
    if method != "spawn":
        return _context_of(method)
    context = _context_of("forkserver")
    context.set_forkserver_preload(["billing_pipeline.definitions"])
    return context


if any(word == "dagster._daemon" or word.endswith("dagster-daemon") for word in sys.orig_argv):
    from dagster._daemon import controller

    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 2
elif "grpc" in sys.orig_argv and sys.platform == "linux":
    setattr(multiprocessing, "get_context", _forking)  # noqa: B010
