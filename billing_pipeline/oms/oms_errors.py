"""The errors that end a run because a month could not be read: wrong settings, OMS unavailable, contract not met."""

from __future__ import annotations

from sqlalchemy.engine import URL

from billing_pipeline.problems import PipelineError, UsageError


class OmsSettingWrong(UsageError):
    """The OMS settings are wrong (URL, unsupported database, no such folder); nothing was read."""


class OmsUnavailable(PipelineError):
    """The OMS cannot be read now: unreachable, locked, login refused, too slow. The message never has a password."""


class OmsShapeWrong(PipelineError):
    """A relation does not match the contract; the message names it, its query and the column or row."""


def one_line(error: BaseException, url: URL | None = None) -> str:
    """The first line of a driver's message, without the passwords in `url`."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0].rstrip(".") if lines else type(error).__name__
    if url is not None:
        for secret in (url.password, url.query.get("password"), url.query.get("sslpassword")):
            if isinstance(secret, str) and secret:
                first = first.replace(secret, "***")
    return first
