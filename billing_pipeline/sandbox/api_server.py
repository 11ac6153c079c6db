"""Serves the REST API on loopback with uvicorn, in a thread of its own; can reset single connections."""

from __future__ import annotations

import asyncio
import socket
import threading

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from billing_pipeline.sandbox.sandbox_errors import SandboxError


class Connections:
    """The open connections by the client's address."""

    def __init__(self) -> None:
        self._transports: dict[object, asyncio.WriteTransport] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """uvicorn's HTTP protocol, which here notes each connection while it is open."""
        transports = self._transports

        class NotedProtocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                transports[transport.get_extra_info("peername")[:2]] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.client, None)
                super().connection_lost(exc)

        return NotedProtocol

    def reset(self, client: tuple[str, int]) -> None:
        """Ends one client's connection without another byte."""
        if transport := self._transports.get(tuple(client)):
            transport.abort()

    def reset_all(self) -> None:
        """Ends every connection, so that a stop need not wait for slow answers."""
        for transport in list(self._transports.values()):
            transport.abort()


class ApiServer:
    """Serves `app` until `stop`. `port` is the one in use."""

    def __init__(self, app: ASGIApp, connections: Connections, *, host: str, port: int) -> None:
        self._connections = connections
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Without the protocol's number asyncio does not set TCP_NODELAY, and each answer takes 40 ms longer.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
        except OSError as error:
            listener.close()
            raise SandboxError(
                f"cannot listen on {host}:{port} for the API ({error.strerror}): choose another port"
            ) from error
        self.port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=connections.protocol(),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
        self._loop = asyncio.new_event_loop()
        # Listening from here on: who calls before uvicorn is up waits, and is served.
        listener.listen()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="sandbox-api", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends every connection and the thread."""
        self._server.should_exit = True
        self._loop.call_soon_threadsafe(self._connections.reset_all)
        self._thread.join()
        self._loop.close()

    def _run(self, listener: socket.socket) -> None:
        self._loop.run_until_complete(self._server.serve(sockets=[listener]))
