"""What ends the sandbox: one error, in one line for people."""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox cannot start or go on. The message says what is wrong, where, and what to do."""
