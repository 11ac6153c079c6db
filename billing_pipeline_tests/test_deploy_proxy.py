"""deploy/Caddyfile with a real Caddy: nobody reaches what is behind it without TLS and a login."""

from __future__ import annotations

import base64
import http.client
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from billing_pipeline_tests.support.ports import free_port
from billing_pipeline_tests.support.requires import require_program

DEPLOY = Path(__file__).parents[1] / "deploy"
PASSWORD = "correct horse"


class Behind(BaseHTTPRequestHandler):
    """In place of Dagster's webserver: keeps what it is asked; a WebSocket gets its bytes back."""

    asked: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        self.asked.append((self.path, dict(self.headers)))
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.wfile.write(self.rfile.read(5))
            return
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"inner")

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@contextmanager
def behind() -> Iterator[ThreadingHTTPServer]:
    here = type("Here", (Behind,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), here)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Proxy:
    """Caddy with the deployed file; only ports and folders differ."""

    def __init__(self, folder: Path, upstream: int) -> None:
        self.caddy = require_program("caddy", package="caddy")
        self.folder, self.http, self.https = folder, free_port(), free_port()
        self.users = folder / "ui_users"
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "UI_HTTP_PORT": str(self.http),
            "UI_HTTPS_PORT": str(self.https),
            "UI_UPSTREAM": f"127.0.0.1:{upstream}",
            "UI_USERS_FILE": str(self.users),
        }

    def hashed(self, password: str) -> str:
        command = [self.caddy, "hash-password", "--plaintext", password]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def command(self, verb: str) -> list[str]:
        return [self.caddy, verb, "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]

    def starts(self) -> bool:
        """Whether Caddy takes the file as it would be started."""
        checked = subprocess.run(
            self.command("validate"), env=self.environment, capture_output=True, check=False
        )
        return checked.returncode == 0

    @contextmanager
    def running(self) -> Iterator[None]:
        log = self.folder / "caddy.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command("run"), env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            self._wait(process, log)
            yield
        finally:
            process.terminate()
            process.wait(30)

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        until = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            try:
                self.status()
            except (OSError, ssl.SSLError):
                time.sleep(0.1)
            else:
                return

    def connection(self) -> http.client.HTTPSConnection:
        root = self.folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        context = ssl.create_default_context(cafile=str(root))
        return http.client.HTTPSConnection("localhost", self.https, context=context, timeout=20)

    def status(self, user: str = "", password: str = "", path: str = "/") -> int:
        connection = self.connection()
        try:
            connection.request("GET", path, headers=login(user, password) if user else {})
            return connection.getresponse().status
        finally:
            connection.close()


def login(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_only_who_has_a_login_reaches_the_webserver_and_only_over_tls(tmp_path: Path) -> None:
    with behind() as server:
        proxy = Proxy(tmp_path, server.server_port)
        asked = server.RequestHandlerClass.asked  # type: ignore[attr-defined]
        proxy.users.write_text(
            f"ann {proxy.hashed(PASSWORD)}\nbob {proxy.hashed('other')}\n", encoding="ascii"
        )
        with proxy.running():
            for path in ("/", "/graphql", "/server_info"):
                assert proxy.status(path=path) == 401
            assert proxy.status("ann", "other") == 401
            assert proxy.status("eve", PASSWORD) == 401
            plain = http.client.HTTPConnection("localhost", proxy.http, timeout=20)
            plain.request("GET", "/runs", headers=login("ann", PASSWORD))
            answer = plain.getresponse()
            assert (answer.status, (answer.getheader("Location") or "")[:8]) == (308, "https://")
            plain.close()
            assert asked == [], "nobody without a login, and nothing without TLS, has come this far"

            assert proxy.status("ann", PASSWORD, "/runs?x=1") == 200
            assert proxy.status("bob", "other") == 200
            [(path, headers), _] = asked
            assert path == "/runs?x=1"
            assert "Authorization" not in headers
            assert headers["X-Forwarded-Proto"] == "https"


def test_the_websocket_of_the_ui_goes_through_with_a_login_alone(tmp_path: Path) -> None:
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZQ==",
        "Sec-WebSocket-Version": "13",
    }
    with behind() as server:
        proxy = Proxy(tmp_path, server.server_port)
        proxy.users.write_text(f"ann {proxy.hashed(PASSWORD)}\n", encoding="ascii")
        with proxy.running():
            for headers, expected in ((upgrade, b"401"), (upgrade | login("ann", PASSWORD), b"101")):
                connection = proxy.connection()
                connection.connect()
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                connection.sock.sendall(f"GET /graphql HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
                said = connection.sock.recv(4096)
                assert said.split()[1] == expected
                if expected == b"101":
                    connection.sock.sendall(b"hello")
                    while b"hello" not in said:
                        piece = connection.sock.recv(4096)
                        assert piece, said
                        said += piece
                connection.close()


@pytest.mark.parametrize("users", [None, "", "ann\n"], ids=["no file", "an empty file", "no password"])
def test_without_logins_the_proxy_does_not_start(tmp_path: Path, users: str | None) -> None:
    proxy = Proxy(tmp_path, 1)
    if users is not None:
        proxy.users.write_text(users, encoding="ascii")
    assert not proxy.starts()
    proxy.users.write_text(f"ann {proxy.hashed(PASSWORD)}\n", encoding="ascii")
    assert proxy.starts()


def test_the_compose_profile_hands_the_files_to_the_proxy_and_publishes_nothing_else() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    proxy = services["proxy"]
    assert proxy["profiles"] == ["proxy"]
    assert {volume.split(":")[1] for volume in proxy["volumes"]} == {
        "/etc/caddy/Caddyfile",
        "/etc/caddy/ui_users",
        "/data",
    }
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"webserver": ["127.0.0.1:3000:3000"], "proxy": ["80:80", "443:443"]}
