"""The pages of a service answer what they should."""

import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Counter

from connectors.kit.metrics import serve_metrics


def test_pages() -> None:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc(3)
    ready = False
    server = serve_metrics(0, lambda: ready, registry)
    base = f"http://127.0.0.1:{server.server_port}"

    def get(path: str) -> bytes:
        with urllib.request.urlopen(base + path, timeout=5) as answer:
            content: bytes = answer.read()
        return content

    try:
        assert b"things_total 3.0" in get("/metrics")
        assert get("/healthz") == b"ok\n"
        with pytest.raises(urllib.error.HTTPError) as caught:
            get("/readyz")
        assert caught.value.code == 503
        ready = True
        assert get("/readyz") == b"ready\n"
        with pytest.raises(urllib.error.HTTPError) as caught:
            get("/")
        assert caught.value.code == 404
    finally:
        server.shutdown()
        server.server_close()
