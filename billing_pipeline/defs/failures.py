"""How an error of a room becomes a failed step: one line in the UI, not a stack, and never an automatic retry."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from billing_pipeline.problems import PipelineError


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turns a `PipelineError` into a `Failure` with its message; the error itself stays the cause.

    Retries belong to the rooms, which know what is transient: a second level here would multiply them.
    """
    try:
        yield
    except PipelineError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
