"""Where alerts arrive in tests: a real SMTP server and a webhook, on loopback. Both can be told to refuse."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

from billing_pipeline_tests.support.ports import free_port


@dataclass
class Received:
    """The messages that arrived, oldest first, and the URL by which apprise reaches the receiver."""

    url: str = ""
    refuses: bool = False
    refuses_what_says: str = ""
    titles: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    attachments: list[dict[str, bytes]] = field(default_factory=list)

    def take(
        self, title: str, body: str, recipients: list[str], attachments: dict[str, bytes] | None = None
    ) -> None:
        """One more message."""
        self.titles.append(title)
        self.bodies.append(body)
        self.recipients.append(recipients)
        self.attachments.append(attachments or {})


@contextmanager
def webhook(token: str = "t0ken-canary") -> Iterator[Received]:
    """A webhook that takes JSON; the token is part of its path, as at Slack and Teams."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            poison = bool(received.refuses_what_says) and received.refuses_what_says in said["message"]
            if not received.refuses and not poison:
                received.take(said["title"], said["message"], [self.path])
            self.send_response(503 if received.refuses or poison else 200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        received.url = f"json://127.0.0.1:{server.server_port}/services/{token}"
        yield received
        server.shutdown()


@contextmanager
def mail_server(password: str = "p4ssword-canary") -> Iterator[Received]:
    """An SMTP server that wants a login, as a company's own does."""
    received = Received()

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd)
            if received.refuses:
                return "451 try again later"
            assert isinstance(envelope.content, bytes)
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            part = message.get_body(("plain",))
            assert part is not None
            files: dict[str, Any] = {
                f"{one.get_filename()} {one.get_content_type()}": one.get_payload(decode=True)
                for one in message.iter_attachments()
            }
            received.take(str(message["Subject"]), str(part.get_content()), list(envelope.rcpt_tos), files)
            return "250 OK"

    def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"billing", password.encode()))

    port = free_port()
    controller = Controller(
        Handler(),
        hostname="127.0.0.1",
        port=port,
        authenticator=login,
        auth_required=True,
        auth_require_tls=False,
    )
    controller.start()
    received.url = (
        f"mailto://billing:{password}@127.0.0.1:{port}"
        "?from=billing@example.com&to=accountant@example.com,operations@example.com"
    )
    try:
        yield received
    finally:
        controller.stop()
