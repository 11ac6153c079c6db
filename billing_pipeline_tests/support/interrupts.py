"""Ctrl-C reaches what tests start, however the tests themselves were started.

A shell starts a command in the background (`&`, nohup) deaf to SIGINT, and its children inherit that. Dagster's
processes would then not end when a test tells them to: they take SIGTERM for whatever SIGINT is.
"""

from __future__ import annotations

import signal


def hear_interrupts() -> None:
    """For this process and those that it starts; a handler that somebody has set stays."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
