"""A server on 127.0.0.1 that answers what a test tells it to."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Liar(ThreadingHTTPServer):
    """Answers each request with the next of its replies, and the last one ever after.

    A reply is (status, body, headers); the status ``"cut"`` promises more bytes than it sends.
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
        self.send_response(200 if status == "cut" else status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + (10 if status == "cut" else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def lying(*replies):
    """Start a server that gives these replies."""
    with Liar(replies) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
