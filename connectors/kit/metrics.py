"""The HTTP side of a service: `/metrics` for Prometheus, `/healthz` (it lives), `/readyz` (it can work)."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

REQUEST_TIMEOUT_SECONDS = 5.0
"""Frees the thread of a client that opens a connection and says nothing."""

# A second series beside each counter and histogram, which says when it began and doubles the page.
disable_created_metrics()  # type: ignore[no-untyped-call]


def new_registry() -> CollectorRegistry:
    """Return the registry of a service, with what the process itself uses: memory, processor time, open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def _handler(ready: Callable[[], bool], registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_TIMEOUT_SECONDS

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
            elif self.path == "/healthz":
                self._answer(200, b"ok\n", "text/plain")
            elif self.path == "/readyz":
                is_ready = ready()
                self._answer(200 if is_ready else 503, b"ready\n" if is_ready else b"not ready\n", "text/plain")
            else:
                self._answer(404, b"not found: try /metrics, /healthz or /readyz\n", "text/plain")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep silent: a scrape every few seconds is no news."""

    return Handler


def serve_metrics(
    port: int, ready: Callable[[], bool], registry: CollectorRegistry, host: str = "127.0.0.1"
) -> ThreadingHTTPServer:
    """Serve `/metrics`, `/healthz` and `/readyz` in a daemon thread.

    Parameters
    ----------
    port
        0 takes a free one; it is in `server_port` of what is returned.
    ready
        Whether the service can work now; asked at each request.
    registry
        Whose metrics are shown.
    host
        Address to listen on; loopback by default, because the page has no log-in.

    Returns
    -------
    ThreadingHTTPServer
        Call its `shutdown` to end it.
    """
    server = ThreadingHTTPServer((host, port), _handler(ready, registry))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
