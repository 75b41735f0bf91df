"""`tidemark-pi run`: read, commit, send, until told to stop."""

import logging
import threading
from pathlib import Path
from random import Random

from connectors.kit.clock import WallClock
from deploy.raspberrypi.checked import Problem
from deploy.raspberrypi.clock import BoardClock
from deploy.raspberrypi.config import Config, ConfigError
from deploy.raspberrypi.notify import Notifier
from deploy.raspberrypi.rounds import Rounds, Waiting
from deploy.raspberrypi.secret import read_password
from deploy.raspberrypi.wiring import Wiring
from simulators.device import Broker, Device, DeviceLoop, DeviceOptions, OutboxError
from simulators.device.link import tls_context
from simulators.device.sender import SendLimits

_LOG = logging.getLogger("tidemark.pi")
_REPORT_S = 3600.0
"""How often the counts go to the log, so that what was skipped can be seen long after."""

_LONGEST_WAIT_S = 10.0
"""The status for systemd is at most this old, however long the period is."""


class AgentFailed(Exception):
    """The agent can't go on; systemd starts it again."""


def broker_of(config: Config) -> Broker:
    """Return how to reach the broker, its password read from its file. Raises `SecretError`."""
    mqtt = config.mqtt
    return Broker(
        host=mqtt.host,
        port=mqtt.port,
        username=mqtt.username,
        password=read_password(mqtt.password_file) if mqtt.password_file else "",
        tls=mqtt.tls,
        ca_file=mqtt.ca_file,
        keepalive_s=mqtt.keepalive_s,
        reconnect_min_s=mqtt.reconnect_min_s,
        reconnect_max_s=mqtt.reconnect_max_s,
    )


def _check_tls(broker: Broker) -> None:
    if not broker.tls:
        return
    try:
        tls_context(broker)
    except OSError as error:
        why = f"can't be used ({error.strerror or error})"
        mend = "put the certificate of the CA there, in PEM form, readable by the user that runs tidemark-pi"
        raise ConfigError(Path("config"), [Problem("mqtt.ca_file", repr(str(broker.ca_file)), why, mend)]) from error


class Agent:
    """One gateway on a board.

    Raises
    ------
    ConfigError
        If the CA's certificates can't be used: found out now, and not with each attempt to connect.
    SecretError
        If the password can't be used.
    OutboxError
        If the outbox can't be opened: another process has it, or it belongs to another gateway.
    """

    def __init__(
        self,
        config: Config,
        wiring: Wiring,
        notifier: Notifier,
        limits: SendLimits | None = None,
        seed: int | None = None,
    ) -> None:
        self.config, self._notifier = config, notifier
        broker = broker_of(config)
        _check_tls(broker)
        self._clock: BoardClock = wiring.clock(config)
        self.rounds = Rounds(wiring.sensors(config), self._clock.elapsed_ms)
        self._waiting = Waiting(config.clock.hold_rounds, self.rounds.tally)
        outbox = config.outbox
        options = DeviceOptions(
            config.site,
            config.gateway,
            outbox.path,
            limits or SendLimits(),
            ledger=outbox.ledger,
            limit_packs=outbox.limit_packs,
        )
        self.device = Device(options, broker, WallClock(), Random(seed))  # noqa: S311 - spreads reconnects
        self._loop = DeviceLoop([self.device])
        self._sending = False
        self._refused = ""
        self._next_report_ms = self._clock.elapsed_ms() + _REPORT_S * 1000

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then say goodbye. What is in the outbox is sent after the next start.

        Raises
        ------
        AgentFailed
            If the thread that sends ended.
        """
        try:
            self.device.declare(self.rounds.table)
            self._round()
            if not self._sending:
                _LOG.warning("the clock is not synchronised: readings wait in memory and nothing is sent until it is")
            self._notifier.ready()
            self._work(stop)
        finally:
            self._notifier.stopping()
            if self._sending:
                self._loop.stop()
            else:
                self.device.close()
            _LOG.info("stopped: %s", self.status())

    def _work(self, stop: threading.Event) -> None:
        period_ms = self.config.period_s * 1000
        due_ms = self._clock.elapsed_ms() + period_ms
        while not stop.wait(self._wait_s(due_ms)):
            if self._sending and not self._loop.alive():
                raise AgentFailed("the thread that sends has ended; the log above says why")
            now_ms = self._clock.elapsed_ms()
            self._tell(now_ms)
            if now_ms < due_ms:
                continue
            self._round()
            missed = int((self._clock.elapsed_ms() - due_ms) // period_ms)
            self.rounds.tally.missed_rounds += missed
            due_ms += (1 + missed) * period_ms

    def _wait_s(self, due_ms: float) -> float:
        """Return until when to wait: the next round, or sooner for the watchdog's sake."""
        longest = min(self._notifier.watchdog_s or _LONGEST_WAIT_S, _LONGEST_WAIT_S)
        return max(0.0, min((due_ms - self._clock.elapsed_ms()) / 1000, longest))

    def _round(self) -> None:
        """Read all sensors and commit what may be committed."""
        self._waiting.add(self.rounds.take(self._notifier.alive))
        if self._clock.usable():
            self._commit()
            if not self._sending:
                _LOG.info("the clock is known: sending begins")
                self._loop.start()
                self._sending = True
        self._waiting.trim()

    def _commit(self) -> None:
        """Commit all that waits in one transaction: a kill leaves the whole of it, or nothing."""
        drafts = self._waiting.drafts(self.rounds.table.id, self._clock.offset_ms())
        if not drafts:
            return
        try:
            self._loop.submit(0, drafts)
        except OutboxError as error:
            if str(error) != self._refused:
                _LOG.error("readings wait in memory, %d rounds at most: %s", self.config.clock.hold_rounds, error)
            self._refused = str(error)
            return
        if self._refused:
            _LOG.warning("the outbox takes readings again; %d rounds had waited", len(drafts) - 1)
        self._refused = ""
        self._waiting.committed()

    def _tell(self, now_ms: int) -> None:
        self._notifier.alive(self.status())
        if now_ms >= self._next_report_ms:
            self._next_report_ms = now_ms + _REPORT_S * 1000
            _LOG.info("%s", self.status())

    def status(self) -> str:
        """Return the state in one line, for systemctl and the log."""
        stats = self.device.stats()
        state = "connected" if stats.ready else "not connected" if self._sending else "waiting for the time of day"
        waiting = f", {len(self._waiting)} rounds wait in memory" if len(self._waiting) else ""
        return f"{state}; {stats.counts.pending_packs} packs in the outbox{waiting}; {self.rounds.tally}"
