"""The last stage: a thread a subscription takes its notifications from the outbox and sends them.

So a channel that hangs or fails delays nobody but itself.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from connectors.kit.backoff import Backoff
from connectors.notifier.channels import Channel, Outcome, Reason
from connectors.notifier.metrics import Metrics
from connectors.notifier.outbox import Claim, Outbox
from connectors.notifier.schedule import LONGEST_RETRY_AFTER_S, next_due_ms
from connectors.notifier.subscriptions import Subscription

LEASE_MARGIN_MS = 30_000
"""A lease outlasts the channel's time limit by this, so that a slow attempt is not made twice at once."""

IDLE_SECONDS = 5.0
"""Longest sleep between looks at the outbox: rows that another command made pending are found without a word."""

BREAKER = Backoff(0.5, 30.0)
"""While a channel fails at each attempt, the next notification is not tried at once, but after this."""


class Deliverer(threading.Thread):
    """Delivers the notifications of one subscription.

    Parameters
    ----------
    delays_s
        Seconds before the second attempt, the third, and so on.
    failed
        Told if the thread ends by an error of our own.
    """

    def __init__(
        self,
        subscription: Subscription,
        channel: Channel,
        outbox: Outbox,
        *,
        delays_s: Sequence[float],
        metrics: Metrics,
        log: Any,
        now_ms: Callable[[], int],
        failed: Callable[[], None],
    ) -> None:
        super().__init__(name=f"deliver-{subscription.name}", daemon=True)
        self.subscription = subscription.name
        self._type = subscription.channel.type
        self._lease_ms = int(subscription.channel.timeout_s * 1000) + LEASE_MARGIN_MS
        self._address = sha256(subscription.address.encode()).hexdigest()
        self._channel = channel
        self._outbox = outbox
        self._delays_s = delays_s
        self._metrics = metrics
        self._log = log.bind(subscription=subscription.name)
        self._now_ms = now_ms
        self._failed = failed
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._failures = 0
        self._not_before_ms = 0

    def wake(self) -> None:
        """Say that something new may be due."""
        self._wake.set()

    def stop(self) -> None:
        """Ask for an end after the attempt under way."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Deliver until stopped."""
        try:
            if self._outbox.is_disabled(self.subscription, self._address):
                self._log.warning("disabled: its receiver answered 410; change its address to enable it")
            while not self._stopping.is_set():
                if not self.step():
                    self._sleep()
        except Exception:
            # At a stop the outbox is closed under an attempt that takes too long; it is made again at the next start.
            if not self._stopping.is_set():
                self._log.exception("delivery failed")
                self._failed()
        finally:
            self._channel.close()

    def step(self) -> bool:
        """Make one attempt; False if nothing is due."""
        if self._now_ms() < self._not_before_ms:
            return False
        if self._outbox.is_disabled(self.subscription, self._address):
            self._count_given_up(self._outbox.give_up(self.subscription, str(Reason.GONE)))
            return False
        claim = self._outbox.claim(self.subscription, self._lease_ms)
        if claim is None:
            return False
        if claim.attempt > len(self._delays_s) + 1:
            # Counted at its start and never ended: the process died in each of them.
            self._outbox.dead(claim, Outcome(Reason.INTERRUPTED, "the service died during each attempt"), 0)
            self._count_given_up(1)
            return True
        started = time.monotonic()
        outcome = self._channel.send(claim.message)
        self._record(claim, outcome, int((time.monotonic() - started) * 1000))
        return True

    def _record(self, claim: Claim, outcome: Outcome, latency_ms: int) -> None:
        label = str(outcome.reason or "delivered")
        self._metrics.attempts.labels(self.subscription, self._type, label).inc()
        self._metrics.attempt_seconds.labels(self.subscription).observe(latency_ms / 1000)
        if outcome.reason is None:
            self._outbox.delivered(claim, latency_ms)
            self._failures, self._not_before_ms = 0, 0
            self._metrics.ended.labels(self.subscription, "delivered").inc()
            self._metrics.delivery_seconds.observe(max(0, self._now_ms() - claim.created_ms) / 1000)
            return
        now = self._now_ms()
        due = next_due_ms(claim.attempt, now, self._delays_s, random.random, outcome.retry_after_s)
        is_dead = outcome.reason.is_final or due is None
        self._log.warning(
            "not delivered",
            event_id=claim.message.event_id,
            attempt=claim.attempt,
            reason=label,
            detail=outcome.detail,
            given_up=is_dead,
        )
        if is_dead or due is None:
            self._outbox.dead(claim, outcome, latency_ms)
            self._count_given_up(1)
        else:
            self._outbox.later(claim, outcome, latency_ms, due)
        if outcome.reason is Reason.GONE:
            self._outbox.disable(self.subscription, self._address, outcome.reason)
        if outcome.reason.is_final:
            return
        self._failures += 1
        pause_s = max(BREAKER.delay_s(self._failures, random.random), min(outcome.retry_after_s, LONGEST_RETRY_AFTER_S))
        self._not_before_ms = now + int(pause_s * 1000)

    def _count_given_up(self, number: int) -> None:
        if number:
            self._metrics.ended.labels(self.subscription, "dead").inc(number)

    def _sleep(self) -> None:
        due = self._outbox.next_due_ms(self.subscription)
        until = IDLE_SECONDS if due is None else (max(due, self._not_before_ms) - self._now_ms()) / 1000
        # At least a little, against a clock that stands.
        self._wake.wait(min(IDLE_SECONDS, max(0.02, until)))
        self._wake.clear()
