"""A subscriber of webhooks in the test's process: verifies each signature and keeps the event ids."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from standardwebhooks import Webhook

SECRET = "whsec_dGVzdHMgb2YgdGhlIHdob2xlIHBpcGVsaW5lIQ=="


class Receiver:
    """Answers 204 to what is signed, 401 to what is not.

    Attributes
    ----------
    deliveries
        (webhook id, body) of every accepted request, in order of arrival.
    refused
        Requests whose signature was wrong.
    """

    def __init__(self) -> None:
        self.deliveries: list[tuple[str, dict[str, Any]]] = []
        self.refused = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

    def event_ids(self, gateway: str = "") -> list[str]:
        """Return the delivered event ids, of one gateway or of all."""
        with self._lock:
            return [body["id"] for _, body in self.deliveries if not gateway or body["data"]["gateway"] == gateway]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver, webhook = self, Webhook(SECRET)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    webhook.verify(body, dict(self.headers.items()))
                except Exception:
                    receiver.refused += 1
                    self.send_response(401)
                else:
                    with receiver._lock:
                        receiver.deliveries.append((self.headers["webhook-id"], json.loads(body)))
                    self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Keep silent."""

        return Handler


def write_subscriptions(path: Path, receiver: Receiver) -> None:
    """Write the file that subscribes the receiver to everything, and its secret beside it."""
    secret = path.with_name("receiver.secret")
    secret.write_text(SECRET)
    path.write_text(
        f"""\
subscriptions:
  - name: tests
    channel: {{type: webhook, url: "{receiver.url}", secret_file: {secret.name}}}
"""
    )
