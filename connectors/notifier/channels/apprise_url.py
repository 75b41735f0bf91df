"""Everything that Apprise can reach, mail first: one URL a channel, so that one service's failure is its own."""

import logging
import re
from typing import Any

from connectors.notifier.channels import DELIVERED, Outcome, Reason
from connectors.notifier.message import Message
from connectors.notifier.subscriptions import AppriseChannel

_SMTP_CODE = re.compile(r"(?:\(|refused: )([45]\d\d)\b")
"""Apprise says only whether it worked; the mail server's answer stands in its log, as Python's smtplib words it."""

MAIL = "E-Mail"
"""Apprise's name of the service. It would send a mail each 5.5 s, so that a storm of 100 alerts took ten minutes; a
mail server that is too busy says so, and the outbox tries again later. Other services have limits, which Apprise keeps.
"""


class AppriseSender:
    """Sends through one Apprise URL."""

    def __init__(self, spec: AppriseChannel) -> None:
        import apprise

        # Its debug lines say what a mail server answered, and name URLs with their passwords: they are read here,
        # through the result, and go nowhere else.
        logger = logging.getLogger("apprise")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        self._timeout_s = spec.timeout_s
        asset = apprise.AppriseAsset(app_id="Tidemark", app_desc="Tidemark alerts", storage_mode="memory")
        self._apprise: Any = apprise.Apprise(asset=asset)
        self._is_known = bool(self._apprise.add(spec.url))
        for service in self._apprise:
            if service.service_name == MAIL:
                service.request_rate_per_sec = 0

    def send(self, message: Message) -> Outcome:
        """Send a notification."""
        if not self._is_known:
            return Outcome(Reason.FAILED, "Apprise does not know such a URL")
        with self._apprise.notify(
            title=message.title,
            body=message.text,
            body_format="text",
            timeout=self._timeout_s,
            log_level=logging.DEBUG,
        ) as result:
            if result:
                return DELIVERED
            return outcome_of([str(entry.message) for entry in result.logs()], result.status.name == "TIMEOUT")

    def close(self) -> None:
        """Nothing is kept open."""


def outcome_of(log: list[str], is_timeout: bool) -> Outcome:
    """Return why Apprise failed, from its log; no word of the log is passed on, it may hold a password.

    >>> outcome_of(["Socket Exception: {'a@b.c': (550, b'no such user')}"], False).reason.value
    'refused'
    >>> outcome_of(["SMTP recipient a@b.c was refused: 451 b'try later'"], False).reason.value
    'failed'
    """
    codes = [found.group(1) for line in log for found in _SMTP_CODE.finditer(line)]
    if codes and all(code.startswith("5") for code in codes):
        return Outcome(Reason.REFUSED, f"SMTP {codes[0]}")
    if codes:
        return Outcome(Reason.FAILED, f"SMTP {codes[0]}")
    if is_timeout or any("timed out" in line for line in log):
        return Outcome(Reason.TIMEOUT, "Apprise ran out of time")
    if any("Connection" in line or "refused" in line for line in log):
        return Outcome(Reason.UNREACHABLE, "Apprise could not connect")
    return Outcome(Reason.FAILED, "Apprise reports a failure")
