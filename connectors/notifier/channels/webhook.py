"""Signed webhooks by Standard Webhooks, with the reference library's signature."""

import contextlib
import email.utils
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from connectors.notifier.channels import DELIVERED, Outcome, Reason
from connectors.notifier.message import Message
from connectors.notifier.subscriptions import WebhookChannel

CONNECT_SECONDS = 5.0
"""A host that drops packets is given up on sooner than one that thinks."""

RESPONSE_BYTES = 16 * 1024
"""The status is all that counts. A little of the body is read so that a receiver can finish writing, no more."""

USER_AGENT = "Tidemark"

_BY_STATUS = {410: Reason.GONE, 413: Reason.REFUSED, 429: Reason.THROTTLED}
_BY_CLASS = {3: Reason.REDIRECT, 4: Reason.CLIENT}


class WebhookSender:
    """Posts to one URL.

    Parameters
    ----------
    spec
        URL, secrets and time limit.
    now
        Wall time, seconds: the signature's timestamp is new at each attempt.
    """

    def __init__(self, spec: WebhookChannel, now: Callable[[], float] = time.time) -> None:
        self._url = spec.url
        self._timeout_s = spec.timeout_s
        self._webhooks = [Webhook(secret) for secret in spec.secrets]
        self._now = now
        self._client = httpx.Client(
            follow_redirects=False,
            # Proxies of the environment would be asked to carry what an operator addressed elsewhere.
            trust_env=False,
            timeout=httpx.Timeout(spec.timeout_s, connect=min(CONNECT_SECONDS, spec.timeout_s)),
            # One connection a notification: an alert is rare, and a kept connection dies unseen in between.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def send(self, message: Message) -> Outcome:
        """Post a notification."""
        with _deadline(self._timeout_s) as deadline:
            try:
                return self._post(message, deadline)
            except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
                if deadline.is_over or isinstance(error, httpx.TimeoutException):
                    return Outcome(Reason.TIMEOUT, f"no answer within {self._timeout_s:g} s")
                return Outcome(Reason.UNREACHABLE, f"{type(error).__name__}: {error}"[:300])

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _post(self, message: Message, deadline: "_Deadline") -> Outcome:
        with self._client.stream(
            "POST",
            self._url,
            headers=self.headers(message),
            content=message.body,
            extensions={"trace": deadline.watch},
        ) as response:
            outcome = outcome_of(response.status_code, response.headers.get("retry-after"), self._now())
            with contextlib.suppress(httpx.HTTPError):
                read = 0
                for chunk in response.iter_raw():
                    read += len(chunk)
                    if read >= RESPONSE_BYTES:
                        break
            return outcome

    def headers(self, message: Message) -> dict[str, str]:
        """Return the headers, signed now with every secret."""
        # In UTC: the library takes any time's clock face for UTC's.
        at = datetime.fromtimestamp(int(self._now()), UTC)
        signatures = [webhook.sign(message.id, at, message.body.decode()) for webhook in self._webhooks]
        return {
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            "webhook-id": message.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }


def outcome_of(status: int, retry_after: str | None, now: float) -> Outcome:
    """Return what a response's status means; only 2xx is success.

    >>> outcome_of(204, None, 0.0).reason is None, outcome_of(429, "7", 0.0).retry_after_s
    (True, 7.0)
    """
    detail = f"HTTP {status}"
    wait_s = seconds_of(retry_after, now)
    if 200 <= status < 300:
        return DELIVERED
    reason = _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, Reason.SERVER)
    return Outcome(reason, detail, wait_s)


def seconds_of(retry_after: str | None, now: float) -> float:
    """Return the seconds that a Retry-After header asks for, as a number or a date; 0 for none or nonsense.

    >>> seconds_of("120", 0.0), seconds_of("Thu, 01 Jan 1970 00:01:00 GMT", 10.0), seconds_of("soon", 0.0)
    (120.0, 50.0, 0.0)
    """
    if not retry_after:
        return 0.0
    if retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - now)
    except (ValueError, TypeError, OverflowError, OSError):
        return 0.0


class _Deadline:
    """Cuts the connection when time is up: a receiver that sends a byte now and then never runs into a read timeout."""

    def __init__(self) -> None:
        self.is_over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def watch(self, event: str, info: dict[str, Any]) -> None:
        """Be told by httpx of a new connection."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
            if self.is_over:
                self.cut()

    def cut(self) -> None:
        """End the attempt."""
        self.is_over = True
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[_Deadline]:
    deadline = _Deadline()
    timer = threading.Timer(seconds, deadline.cut)
    timer.daemon = True
    timer.start()
    try:
        yield deadline
    finally:
        timer.cancel()
