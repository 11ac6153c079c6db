"""What can go wrong between us and EASY Bill's API, as types: what may pass by itself, and what a person must mend.

Every message is one line that names the request and what EASY Bill said of it. No message holds a key.
"""

from __future__ import annotations

from billing_pipeline.problems import PipelineError


class ApiError(PipelineError):
    """An exchange with EASY Bill's API failed."""


class ApiTransient(ApiError):
    """It may pass by itself; a later run may try again.

    `tries`: how often it may happen until the request is given up; 1 where the request must not be repeated.
    `after_s`: the pause before the next try where one is known, else pauses grow.
    """

    def __init__(self, message: str, *, tries: int = 1, after_s: float | None = None) -> None:
        super().__init__(message)
        self.tries = tries
        self.after_s = after_s


class ApiPermanent(ApiError):
    """It will not pass by itself; a person must change something first."""


class ApiUnavailable(ApiTransient):
    """EASY Bill was not reached, did not answer in time, or had a fault of its own. Nothing was created."""


class RateLimitExhausted(ApiTransient):
    """The account's requests a minute are used up, here or by others, and stay so for too long."""


class ResourceLocked(ApiTransient):
    """EASY Bill is working on what was asked for, and still is after some waiting (409)."""


class OutcomeUnknown(ApiTransient):
    """A document was to be created, and no answer came: it may be there or not. Look it up before any second try."""


class KeyRefused(ApiPermanent):
    """EASY Bill does not accept the API key, or the plan does not include the API (401, 403)."""


class RequestRefused(ApiPermanent):
    """EASY Bill refuses what was asked, and says why (400, 404, 414 …)."""


class NotFound(RequestRefused):
    """EASY Bill has not, or no longer, what was named (404)."""


class AnswerUnexpected(ApiPermanent):
    """EASY Bill's answer is not as its description says; nothing was taken from it."""


class SeveralDocuments(ApiPermanent):
    """EASY Bill has several documents where at most one may be; a person must remove all but one."""
