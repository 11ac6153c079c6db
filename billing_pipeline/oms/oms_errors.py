"""Why a month could not be read: the OMS is out of reach, or is not as the contract says. Both end the run."""

from __future__ import annotations

from sqlalchemy.engine import URL

from billing_pipeline.problems import PipelineError, UsageError


class OmsSettingWrong(UsageError):
    """The OMS settings themselves are wrong (no such dialect, folder or driver); nothing was read."""


class OmsUnavailable(PipelineError):
    """The OMS cannot be read now: unreachable, locked, refused, too slow. The message never holds a password."""


class OmsShapeWrong(PipelineError):
    """A relation is not as the contract says; the message names it, its query and the column or row."""


def one_line(error: BaseException, url: URL | None = None) -> str:
    """What a driver says, on one line, without its hints and without the secrets of `url`."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0].rstrip(".") if lines else type(error).__name__
    if url is not None:
        for secret in (url.password, url.query.get("password"), url.query.get("sslpassword")):
            if isinstance(secret, str) and secret:
                first = first.replace(secret, "***")
    return first
