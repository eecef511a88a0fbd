"""A server on 127.0.0.1 that answers what a test tells it to."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


class Liar(ThreadingHTTPServer):
    """Answers each request with the next of its replies, and the last one ever after.

    A reply is (status, body, headers); the status ``"cut"`` promises more bytes than it sends, and
    a ``Date`` of ``None`` is not sent.
    """

    def __init__(self, replies):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies = list(replies)
        self.asked = []
        self.lock = threading.Lock()

    @property
    def url(self):
        """The base URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def next_reply(self, request):
        """Note the request and give its reply."""
        with self.lock:
            self.asked.append((request.path, dict(request.headers)))
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body, headers = self.server.next_reply(self)
        code = 200 if status == "cut" else status
        (self.send_response_only if "Date" in headers else self.send_response)(code)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + (10 if status == "cut" else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_):
        """Say nothing."""


class Middle(Liar):
    """Hands an exchange's answers on, but for those that a fault gives instead.

    A fault takes the path with its query, and gives a reply, or ``None``.
    """

    def __init__(self, exchange, fault):
        super().__init__([None])
        self.exchange, self.fault = exchange, fault

    def next_reply(self, request):
        """Ask the exchange, if the fault does not answer."""
        reply = self.fault(request.path)
        if reply is not None:
            return reply
        answer = httpx.get(self.exchange + request.path)
        return answer.status_code, answer.content, {}


@contextmanager
def serving(server):
    """Run a server in a thread of its own."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def lying(*replies):
    """Start a server that gives these replies."""
    return serving(Liar(replies))
