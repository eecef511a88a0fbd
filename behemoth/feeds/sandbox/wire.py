"""The sandbox's sockets: HTTP on 127.0.0.1, spoken well, or as badly as a reply says.

What is replied is the business of `server`, which is called with each request.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from behemoth.feeds.sandbox.rules import Answer
from behemoth.feeds.sandbox.spoiling import Reply

HOST = "127.0.0.1"
PIECES = 10
"""A body that trickles comes in so many pieces."""
POLL = 0.05
"""Seconds until the sockets notice that they are wanted for something else."""


class Wire(ThreadingHTTPServer):
    """Holds the connections, so that they can be ended.

    Parameters
    ----------
    port
        0 means any that is free.
    reply
        Called with path and User-Agent of each request, by many threads.
    closing
        Set when all is to end.
    now
        Gives the time that answers are dated with, unix seconds.
    """

    daemon_threads = False
    request_queue_size = 128
    timeout = POLL

    def __init__(
        self,
        port: int,
        reply: Callable[[str, str | None], Reply],
        closing: threading.Event,
        now: Callable[[], float],
    ) -> None:
        self.reply = reply
        self.closing = closing
        self.now = now
        self._refusing: float | None = None
        self._closed = threading.Event()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((HOST, port), _Handler)

    def serve(self) -> None:
        """Answer until the end."""
        while not self.closing.is_set():
            self.handle_request()
            if self._refusing is not None:
                self._refuse(self._refusing)
                self._refusing = None

    @property
    def refusing(self) -> bool:
        """Whether the port is closed, or just about to be."""
        return self._refusing is not None

    def refuse(self, seconds: float) -> bool:
        """Close the port for a while, and return when it is; what is under way is answered.

        Whether it was open: it is not closed again before that.
        """
        with self._lock:
            if self.refusing:
                return False
            self._closed.clear()
            self._refusing = seconds
        self._closed.wait(20 * POLL)
        return True

    def _refuse(self, seconds: float) -> None:
        self.socket.close()
        # A port that is bound but not listened to refuses, and nobody else can take it meanwhile.
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()
        self._shut(socket.SHUT_RD)
        self._closed.set()
        self.closing.wait(seconds)
        self.server_activate()

    def hang_up(self) -> None:
        """End all connections, so that the threads that listen to them end too."""
        self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):  # the client may have been quicker
                    connection.shutdown(how)

    def server_bind(self) -> None:
        """Bind without a look-up."""
        # HTTPServer would look its own name up, which takes seconds where no name server answers.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Let a connection go."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away; it may whenever it likes."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for the sandbox."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # headers and body leave in one piece
    server: Wire

    def do_GET(self) -> None:
        """Answer a GET request."""
        if not self.path.startswith("/"):  # as one for a proxy
            self.send_error(400)
            return
        self._send(self.server.reply(self.path, self.headers.get("User-Agent")))

    def send_error(self, code: int, message: str | None = None, *_: object) -> None:
        """Answer what is no GET request; the exchange's errors are JSON."""
        self.close_connection = True
        self._send(Reply.of(Answer(code, {"message": message or self.responses[code][0]})))

    def version_string(self) -> str:
        """Name the server."""
        return "behemoth-sandbox"

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Date an answer by the exchange's own clock."""
        return super().date_time_string(self.server.now() if timestamp is None else timestamp)

    def log_message(self, *_: object) -> None:
        """Keep quiet: the sandbox counts instead."""

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        body = reply.body[: reply.sent]
        if reply.seconds:
            self._trickle(body, reply.seconds)
        else:
            self.wfile.write(body)
        if reply.sent is not None or self.server.refusing:
            self.close_connection = True

    def _trickle(self, body: bytes, seconds: float) -> None:
        piece = len(body) // PIECES + 1
        for begin in range(0, len(body), piece):
            self.wfile.flush()
            self.server.closing.wait(seconds / PIECES)
            self.wfile.write(body[begin : begin + piece])
