"""One thread that drives the connections of many gateways."""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from simulators.device.device import Device
from simulators.device.draft import Draft

_LOG = logging.getLogger("tidemark.device")
_ROUND_S = 0.1
"""How often gateways without news are looked at: keep-alive, timeouts and reconnects are no finer than this."""


def monotonic_ms() -> int:
    """Return milliseconds of a clock that never steps back."""
    return time.monotonic_ns() // 1_000_000


class DeviceLoop:
    """Steps devices when their socket has something, when something was committed, and now and then.

    Examples
    --------
    >>> loop = DeviceLoop([])
    >>> loop.start()
    >>> loop.stop()
    True
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = list(devices)
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._registered: dict[int, tuple[object, int]] = {}
        self._fresh: set[int] = set()
        self._fresh_mutex = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._next_round = 0.0
        self._turn = 0

    def submit(self, place: int, drafts: list[Draft]) -> range:
        """Commit readings to the outbox of device number `place`, and have them sent. From any thread."""
        numbers = self.devices[place].submit(drafts)
        with self._fresh_mutex:
            first = not self._fresh
            self._fresh.add(place)
        if first:
            self._wake()
        return numbers

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="devices", daemon=True)
        self._thread.start()

    def alive(self) -> bool:
        """Whether the thread runs; a watchdog asks."""
        return self._thread is not None and self._thread.is_alive()

    def idle(self) -> bool:
        """Whether every outbox is empty."""
        return all(device.idle for device in self.devices)

    def stop(self, drain_s: float = 0.0) -> bool:
        """Wait up to `drain_s` for the outboxes to empty, say goodbye, and return whether they are empty.

        The outboxes are closed afterwards; their counts can still be asked for. A second call does nothing more.
        """
        if self._stopping.is_set():
            return self.idle()
        until = time.monotonic() + drain_s
        while not self.idle() and time.monotonic() < until and self.alive():
            time.sleep(0.02)
        self._stopping.set()
        self._wake()
        if self._thread is not None:
            self._thread.join()
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()
        return self.idle()

    def _wake(self) -> None:
        try:
            self._wake_write.send(b"x")
        except BlockingIOError:
            # The pipe is full of wake-ups that were not read yet: one more changes nothing.
            return

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._turn_once()
        finally:
            for device in self.devices:
                try:
                    device.close()
                except Exception:
                    _LOG.exception("gateway %s: could not be closed", device.options.gateway)

    def _turn_once(self) -> None:
        touched = self._wait()
        now = time.monotonic()
        whole_round = now >= self._next_round
        for place in range(len(self.devices)) if whole_round else touched:
            self._attend(place)
        if whole_round:
            # After the closed sockets have left the selector: a new one may have the number of an old one.
            self._next_round = now + _ROUND_S
            self._connect_some()

    def _wait(self) -> set[int]:
        """Wait for sockets or a wake-up; read and write what is ready; return whose it was."""
        timeout = max(0.0, self._next_round - time.monotonic())
        touched: set[int] = set()
        for key, events in self._selector.select(timeout):
            if key.data is None:
                self._wake_read.recv(4096)
                continue
            touched.add(key.data)
            self._guarded(key.data, partial(self._exchange, self.devices[key.data], events))
        with self._fresh_mutex:
            touched |= self._fresh
            self._fresh.clear()
        return touched

    @staticmethod
    def _exchange(device: Device, events: int) -> None:
        """Read and write what the socket is ready for."""
        link = device.link()
        if link is not None and events & selectors.EVENT_READ:
            link.read()
        if link is not None and events & selectors.EVENT_WRITE and link.socket() is not None:
            link.write()

    def _connect_some(self) -> None:
        """Try those without a connection, as long as a turn may take: an attempt can block for seconds."""
        until = time.monotonic() + _ROUND_S
        for _ in range(len(self.devices)):
            self._turn = (self._turn + 1) % len(self.devices)
            device = self.devices[self._turn]
            if device.wants_connect(monotonic_ms()):
                self._guarded(self._turn, partial(device.connect, monotonic_ms()))
                self._register(self._turn)
            if time.monotonic() >= until or self._stopping.is_set():
                return

    def _attend(self, place: int) -> None:
        self._guarded(place, partial(self.devices[place].step, monotonic_ms()))
        self._register(place)

    def _guarded(self, place: int, action: Callable[[], None]) -> None:
        """Keep a full disk, a broker's nonsense or a bug of one gateway from stopping the others: report, try again."""
        try:
            action()
        except Exception as error:
            self.devices[place].fail(monotonic_ms(), error)

    def _register(self, place: int) -> None:
        """Keep the selector in step with the device's socket."""
        link = self.devices[place].link()
        sock = link.socket() if link is not None else None
        events = selectors.EVENT_READ
        if link is not None and sock is not None and link.wants_write():
            events |= selectors.EVENT_WRITE
        known, known_events = self._registered.get(place, (None, 0))
        if known is not None and known is not sock:
            self._selector.unregister(known)  # type: ignore[arg-type]
            del self._registered[place]
            known = None
        if sock is None:
            return
        if known is None:
            self._selector.register(sock, events, place)
        elif events != known_events:
            self._selector.modify(sock, events, place)
        self._registered[place] = (sock, events)
