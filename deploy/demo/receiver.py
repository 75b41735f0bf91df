"""A subscriber as a process of its own: takes webhooks, verifies each signature, writes down what it got.

`python -m deploy.demo.receiver --port P --secret-file F --out FILE` answers 204 once the line is written:
`{"event_id": …, "webhook_id": …, "type": …, "subject": …, "received_ms": …}`. `GET /stats` counts those verified and
refused. With `--script` the first requests are answered badly on purpose, for tests.
"""

import argparse
import json
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

from standardwebhooks import Webhook, WebhookVerificationError

BODY_BYTES = 64 * 1024
"""A larger body is refused unread: a notification has less than 20 KB."""

REQUEST_SECONDS = 10.0
"""Frees the thread of a client that stops in the middle of its request."""


class Book:
    """What was received, as a file of JSON lines and two numbers.

    Parameters
    ----------
    secret
        Of Standard Webhooks, `whsec_…`.
    out
        Lines are appended.
    """

    def __init__(self, secret: str, out: IO[str]) -> None:
        self._webhook = Webhook(secret)
        self._out = out
        self._lock = threading.Lock()
        self.verified = 0
        self.refused = 0

    def take(self, body: bytes, headers: dict[str, str]) -> bool:
        """Verify a request and write it down; False if its signature or its shape is bad."""
        try:
            event = self._webhook.verify(body, headers)
            line = {
                "event_id": event["id"],
                "webhook_id": headers["webhook-id"],
                "type": event["type"],
                "subject": event["subject"],
                "received_ms": time.time_ns() // 1_000_000,
            }
        # The library lets malformed headers and bodies through as these.
        except (WebhookVerificationError, ValueError, KeyError, TypeError):
            with self._lock:
                self.refused += 1
            return False
        with self._lock:
            self._out.write(json.dumps(line) + "\n")
            self._out.flush()
            self.verified += 1
        return True


class Script:
    """Bad answers, one a request, then good ones.

    `500` a status; `429:3` one with Retry-After; `lost` takes the event and cuts the line; `reset` cuts it at once;
    `hang:9` says nothing for so many seconds; `drip:9` sends a header a byte a second; `huge` an endless body.
    """

    def __init__(self, steps: Sequence[str]) -> None:
        self._steps = deque(step for step in steps if step)
        self._lock = threading.Lock()

    def next(self) -> tuple[str, float]:
        """Return the next step and its number; `ok` when all are spent."""
        with self._lock:
            step = self._steps.popleft() if self._steps else "ok"
        name, _colon, number = step.partition(":")
        return name, float(number or 0)


def serve(port: int, book: Book, script: Script) -> ThreadingHTTPServer:
    """Return a server on loopback, listening, not yet serving."""

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            stats = json.dumps({"verified": book.verified, "refused": book.refused}).encode()
            self._answer(200, stats)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 < length <= BODY_BYTES:
                self.close_connection = True
                self._answer(413, b"")
                return
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            step, number = script.next()
            if step == "ok":
                self._answer(204 if book.take(body, headers) else 401, b"")
            else:
                self._misbehave(step, number, body, headers)

        def _misbehave(self, step: str, number: float, body: bytes, headers: dict[str, str]) -> None:
            self.close_connection = True
            if step == "lost":
                book.take(body, headers)
            if step in ("lost", "reset"):
                # Linger 0 makes closing a reset, as a crashing receiver's kernel would send.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            elif step == "hang":
                time.sleep(number)
            elif step == "drip":
                self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 100, number)
            elif step == "huge":
                self._drip(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 10_000_000, 0)
            else:
                extra = {"Retry-After": str(int(number))} if number else {}
                if step.startswith("3"):
                    extra["Location"] = "/elsewhere"
                self._answer(int(step), b"", extra)

        def _drip(self, answer: bytes, seconds: float) -> None:
            try:
                if not seconds:
                    self.connection.sendall(answer)
                for at in range(int(seconds)):
                    self.connection.sendall(answer[at : at + 1])
                    time.sleep(1)
            except OSError:
                return

        def _answer(self, status: int, body: bytes, extra: dict[str, str] | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in (extra or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep silent: what was received is in the file."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                return  # The client went away.

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    return server


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the receiver until it is told to stop; its port is the first line on stdout."""
    parser = argparse.ArgumentParser(prog="deploy.demo.receiver", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 takes a free one")
    parser.add_argument("--secret-file", type=Path, required=True, help="file that holds the secret, whsec_…")
    parser.add_argument("--out", type=Path, required=True, help="file that gets a JSON line an event")
    parser.add_argument("--script", default="", help="bad answers to the first requests, comma-separated")
    given = parser.parse_args(arguments)
    with given.out.open("a") as out:
        book = Book(given.secret_file.read_text().strip(), out)
        server = serve(given.port, book, Script(given.script.split(",")))
        print(json.dumps({"listening": server.server_port}), flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            server.server_close()
    sys.exit(0)


if __name__ == "__main__":
    main()
