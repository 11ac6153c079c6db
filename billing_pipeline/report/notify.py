"""Sends an alert to the targets of `BILLING_ALERT_URLS`: e-mail, Slack, Teams, webhooks, whatever apprise knows.

A target's URL holds its password or token. apprise writes whole URLs to its log, and its HTTP client the paths of
webhooks; both are silenced here while they are at work, and a target is named by its kind and place, never by its
URL. What an alert says belongs to `report.alerts`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from billing_pipeline.problems import PipelineError, UsageError
from billing_pipeline.report.alert_text import Alert

# apprise takes two seconds to load: only who sends does so.
if TYPE_CHECKING:
    from apprise import NotifyBase

_TALKATIVE = ("apprise", "requests", "urllib3", "charset_normalizer")


class AlertTargetsInvalid(UsageError):
    """A URL of BILLING_ALERT_URLS is none that apprise understands."""


class AlertNotSent(PipelineError):
    """No target took the alert."""


@dataclass(frozen=True)
class Notifier:
    """The targets, one apprise URL each."""

    urls: Sequence[str] = field(repr=False)

    def send(self, alert: Alert) -> list[str]:
        """Sends the alert to each target; returns the names of those that did not take it.

        Raises: AlertNotSent where no target took it, so that the caller sends it again later; where one has taken
        it, sending again would tell that one twice. AlertTargetsInvalid, before anything is sent.
        """
        targets = self.targets()
        refused = [name for name, target in targets.items() if not _taken(target, alert)]
        if len(refused) == len(targets):
            raise AlertNotSent(
                f"no alert target took {alert.title!r} ({', '.join(refused) or 'none is named'}): "
                "check BILLING_ALERT_URLS, and that the server named there answers"
            )
        return refused

    def targets(self) -> dict[str, NotifyBase]:
        """The targets by name, such as "alert target 1 (E-Mail)". Raises: AlertTargetsInvalid."""
        from apprise import Apprise

        targets: dict[str, NotifyBase] = {}
        for place, url in enumerate(self.urls, start=1):
            with _silence():
                target = Apprise.instantiate(url)
            if target is None:
                raise AlertTargetsInvalid(
                    f"BILLING_ALERT_URLS: URL {place} of {len(self.urls)} is none that apprise understands "
                    "(https://github.com/caronc/apprise/wiki lists them); it is not shown, as it may hold a secret"
                )
            targets[f"alert target {place} ({target.service_name})"] = target
        return targets


def _taken(target: NotifyBase, alert: Alert) -> bool:
    from apprise import AppriseAttachment, NotifyFormat, NotifyType
    from apprise.attachment.memory import AttachMemory

    with _silence():
        files = [
            # apprise has left this one constructor without types.
            AttachMemory(content=one.data, name=one.name, mimetype=one.mime_type)  # type: ignore[no-untyped-call]
            for one in alert.attachments
        ]
        return bool(
            target.notify(
                title=alert.title,
                body=alert.body,
                notify_type=NotifyType.WARNING,
                body_format=NotifyFormat.TEXT,
                attach=AppriseAttachment(files) if files else None,
            )
        )


@contextmanager
def _silence() -> Iterator[None]:
    """No line of these libraries' logs, whatever levels their loggers have or get meanwhile."""
    loggers = [
        logging.getLogger(name)
        for name in [*_TALKATIVE, *logging.root.manager.loggerDict]
        if name.partition(".")[0] in _TALKATIVE
    ]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was_disabled in zip(loggers, before, strict=True):
            logger.disabled = was_disabled
