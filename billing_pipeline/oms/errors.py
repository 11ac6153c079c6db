"""Why a month could not be read: the OMS is out of reach, or is not as the contract says. Both end the run."""

from __future__ import annotations

from billing_pipeline.problems import PipelineError, UsageError


class OmsSettingWrong(UsageError):
    """The OMS settings themselves are wrong (no such dialect, folder or driver); nothing was read."""


class OmsUnavailable(PipelineError):
    """The OMS cannot be read now: unreachable, locked, refused, too slow. The message never holds a password."""


class OmsShapeWrong(PipelineError):
    """A relation is not as the contract says; the message names it, its query and the column or row."""


def one_line(error: BaseException) -> str:
    """What a driver says, on one line and without its hints."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    return first.rstrip(".")
