"""Runs a sandbox until it is told to stop: what `billing-pipeline sandbox` calls. Prints no secret."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from billing_pipeline.sandbox.box import Sandbox


def _say(line: str) -> None:
    print(line, flush=True)  # whoever started it may be waiting for this line at the other end of a pipe


def serve(
    state_dir: Path, *, sftp_port: int = 0, api_port: int | None = 0, say: Callable[[str], None] = _say
) -> None:
    """Runs a sandbox on `state_dir`, says how to reach it, and returns after SIGINT or SIGTERM, once all is stopped.

    To be called from the main thread, as signals are. Raises: SandboxError, as `Sandbox` does.
    """
    sandbox = Sandbox(state_dir, sftp_port=sftp_port, api_port=api_port)
    with _stop_signal() as stopped, sandbox:
        for line in introduction(sandbox):
            say(line)
        stopped.wait()


def introduction(sandbox: Sandbox) -> list[str]:
    """How to reach a running sandbox, and the settings that point the pipeline at it."""
    return [
        f"SFTP       {sandbox.username}@{sandbox.sftp_host} port {sandbox.sftp_port}, directory /import",
        f"Password   in {sandbox.password_file}; private key {sandbox.private_key_file}",
        *([f"API        {sandbox.api_url}, key in {sandbox.api_key_file}"] if sandbox.api_url else []),
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
