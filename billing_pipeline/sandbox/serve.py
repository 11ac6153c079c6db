"""Runs a sandbox until it is told to stop: what `billing-pipeline sandbox` calls. Prints no secret."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from billing_pipeline.sandbox.box import Sandbox


def _say(line: str) -> None:
    print(line, flush=True)  # whoever started it may be waiting for this line at the other end of a pipe


def serve(sandbox: Sandbox, *, say: Callable[[str], None] = _say) -> None:
    """Starts `sandbox`, says how to reach it, and returns after SIGINT or SIGTERM, once all is stopped.

    To be called from the main thread, as signals are.
    """
    with _stop_signal() as stopped, sandbox:
        for line in introduction(sandbox):
            say(line)
        stopped.wait()


def introduction(sandbox: Sandbox) -> list[str]:
    """How to reach a running sandbox, and the settings that point the pipeline at it."""
    return [
        f"SFTP       {sandbox.username}@{sandbox.sftp_host} port {sandbox.sftp_port}, directory /import",
        f"Password   in {sandbox.password_file}; private key {sandbox.private_key_file}",
        f"State      {sandbox.state_dir}",
        "",
        "To point the pipeline at it:",
        *(f"  export {name}={shlex.quote(value)}" for name, value in sandbox.settings().items()),
        "",
        "Stop with Ctrl+C.",
    ]


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
