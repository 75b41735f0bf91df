"""The device client on a real broker: crashes, outages, refusals. `BridgeStub` stands in for the bridge."""

import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from connectors.kit.clock import ManualClock
from connectors.wire.series import Series, series_table
from simulators.device import Broker, Device, DeviceLoop, DeviceOptions, Draft, Outbox
from simulators.device.outbox import digest
from simulators.device.sender import SendLimits
from tests.support.bridge_stub import BridgeStub
from tests.support.mosquitto import Mosquitto, free_port

pytestmark = pytest.mark.integration

TABLE = series_table((Series("press-1", "temperature", "Cel"),))
LIMITS = SendLimits(window=16, ack_timeout_ms=1_000, ack_timeout_max_ms=2_000, puback_timeout_ms=3_000)
WAIT_S = 30.0


def until(condition: Callable[[], bool], what: str, seconds: float = WAIT_S) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def drafts(count: int) -> list[Draft]:
    return [Draft(TABLE.id, 1_700_000_000_000 + 1_000 * at, [0, 500], [0, 0], [1.5, float(at)]) for at in range(count)]


class Rig:
    """One gateway and its loop."""

    def __init__(self, port: int, folder: Path, gateway: str = "gw-1", keepalive_s: int = 5) -> None:
        self.clock = ManualClock(1_700_000_000_000)
        options = DeviceOptions("site-1", gateway, folder / f"{gateway}.sqlite", LIMITS, "OFF", ledger=True)
        broker = Broker(port=port, keepalive_s=keepalive_s, reconnect_min_s=0.05, reconnect_max_s=0.3)
        self.device = Device(options, broker, self.clock, Random(1))
        self.device.declare(TABLE)
        self.loop = DeviceLoop([self.device])
        self.loop.start()

    def send(self, count: int) -> None:
        self.loop.submit(0, drafts(count))

    @property
    def pending(self) -> int:
        return self.device.stats().counts.pending_packs

    def drained(self) -> None:
        until(lambda: self.pending == 0, "an empty outbox")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that forgets everything when it ends."""
    made = Mosquitto(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Make gateways, and stop them afterwards."""
    made: list[Rig] = []

    def make(port: int, **options: object) -> Rig:
        made.append(Rig(port, tmp_path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for rig in made:
        rig.loop.stop()


@pytest.fixture
def stubs() -> Iterator[Callable[..., BridgeStub]]:
    """Make stand-ins for the bridge, and close them afterwards."""
    made: list[BridgeStub] = []

    def make(port: int, **options: object) -> BridgeStub:
        made.append(BridgeStub(port, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for stub in made:
        stub.close()
    assert [stub.errors for stub in made] == [[] for _ in made]


def arrived(stub: BridgeStub, rig: Rig) -> dict[int, str]:
    boot, gateway = rig.device.outbox.boot, rig.device.options.gateway
    return {seq: digest(payload) for (g, b, seq), payload in stub.packs.items() if (g, b) == (gateway, boot)}


def attempted(rig: Rig) -> dict[int, str]:
    return {seq: mark for seq, (_, mark) in rig.device.outbox.attempted().items()}


def test_everything_arrives_once_and_in_order(
    broker: Mosquitto, rigs: Callable[..., Rig], stubs: Callable[..., BridgeStub]
) -> None:
    stub, rig = stubs(broker.port), rigs(broker.port)
    rig.send(200)
    rig.drained()
    assert arrived(stub, rig) == attempted(rig)
    assert set(stub.seen.values()) == {1}
    assert list(stub.order.values()) == [list(range(1, 201))]
    assert (stub.packs_before_table, stub.without_properties) == (0, 0)
    assert stub.highest_unacked <= LIMITS.window
    assert stub.status["gw-1"].state == "online"
    assert rig.loop.stop()
    until(lambda: stub.status["gw-1"].state == "offline", "the goodbye")


def test_without_a_bridge_no_more_than_the_window_is_sent(
    broker: Mosquitto, rigs: Callable[..., Rig], stubs: Callable[..., BridgeStub]
) -> None:
    stub, rig = stubs(broker.port, acking=False), rigs(broker.port)
    rig.send(100)
    until(lambda: len(stub.packs) == LIMITS.window, "a window of packs")
    # Longer than the ack timeout: what goes again is the same packs.
    time.sleep(1.2)
    assert len(stub.packs) == LIMITS.window
    assert rig.pending == 100
    stub.acking = True
    rig.drained()
    assert arrived(stub, rig) == attempted(rig)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_broker_that_forgets_everything_loses_nothing(
    broker: Mosquitto, rigs: Callable[..., Rig], stubs: Callable[..., BridgeStub], ending: signal.Signals
) -> None:
    stub, rig = stubs(broker.port), rigs(broker.port)
    for _ in range(3):
        rig.send(150)
        time.sleep(0.1)
        broker.restart(ending)
    rig.send(10)
    rig.drained()
    assert arrived(stub, rig) == attempted(rig)


def test_packs_that_the_broker_took_and_lost_go_again(
    broker: Mosquitto, rigs: Callable[..., Rig], stubs: Callable[..., BridgeStub]
) -> None:
    stub = stubs(broker.port, lose=lambda gateway, seq, times: seq % 10 == 3 and times == 1)
    rig = rigs(broker.port)
    rig.send(40)
    rig.drained()
    assert arrived(stub, rig) == attempted(rig)
    assert rig.device.stats().resent > 0


def test_acks_given_while_the_device_was_away_are_heard_before_it_sends(
    broker: Mosquitto, rigs: Callable[..., Rig], stubs: Callable[..., BridgeStub]
) -> None:
    stub = stubs(broker.port, acking=False)
    first = rigs(broker.port)
    first.send(16)
    until(lambda: len(stub.packs) == 16, "the packs")
    first.loop.stop()
    stub.acking = True
    stub._ack("site-1", "gw-1", first.device.outbox.boot, 14)
    time.sleep(0.2)
    again = rigs(broker.port)
    again.drained()
    assert {seq: stub.seen["gw-1", again.device.outbox.boot, seq] for seq in range(1, 17)} == {
        **dict.fromkeys(range(1, 15), 1), 15: 2, 16: 2,
    }  # fmt: skip


def test_a_frozen_broker_is_noticed_and_nothing_is_lost(
    broker: Mosquitto, rigs: Callable[..., Rig], stubs: Callable[..., BridgeStub]
) -> None:
    stub, rig = stubs(broker.port), rigs(broker.port, keepalive_s=1)
    rig.send(5)
    rig.drained()
    broker.send(signal.SIGSTOP)
    rig.send(50)
    until(lambda: not rig.device.stats().ready, "the frozen broker to be noticed")
    broker.send(signal.SIGCONT)
    rig.drained()
    assert arrived(stub, rig) == attempted(rig)


def test_a_killed_device_is_declared_offline(
    broker: Mosquitto, stubs: Callable[..., BridgeStub], tmp_path: Path
) -> None:
    stub = stubs(broker.port)
    process = program(broker.port, tmp_path / "killed.sqlite")
    until(lambda: "killed" in stub.status and stub.status["killed"].state == "online", "the device")
    process.kill()
    process.wait(WAIT_S)
    until(lambda: stub.status["killed"].state == "offline", "the will")


def program(port: int, outbox: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.device_program", str(port), str(outbox)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_device_killed_at_any_moment_loses_nothing(
    broker: Mosquitto, stubs: Callable[..., BridgeStub], tmp_path: Path
) -> None:
    stub, path, rng = stubs(broker.port), tmp_path / "killed.sqlite", Random(7)
    for turn in range(5):
        process = program(broker.port, path)
        time.sleep(rng.uniform(0.0, 0.8))
        process.kill()
        process.wait(WAIT_S)
        if turn == 2:
            broker.restart(signal.SIGKILL)
        with_outbox(path, lambda outbox: None)
    limits = SendLimits(ack_timeout_ms=500)
    options = DeviceOptions("site-1", "killed", path, limits, "OFF", ledger=True)
    device = Device(
        options, Broker(port=broker.port, reconnect_min_s=0.05, reconnect_max_s=0.2), ManualClock(), Random(1)
    )
    made = device.outbox.attempted()
    assert sorted(made) == list(range(1, len(made) + 1))
    assert len(made) > 50
    loop = DeviceLoop([device])
    loop.start()
    try:
        until(lambda: device.idle, "an empty outbox")
    finally:
        loop.stop()
    assert {seq: digest(payload) for (_, _, seq), payload in stub.packs.items()} == {
        seq: mark for seq, (_, mark) in made.items()
    }
    assert [order == sorted(order) for order in stub.order.values()] == [True]


def with_outbox(path: Path, look: Callable[[Outbox], None]) -> None:
    """Open an outbox as a crash left it: attempted = acknowledged + still here."""
    outbox = Outbox(path, "killed", ledger=True)
    made, counts = outbox.attempted(), outbox.counts()
    pending = {seq: digest(payload) for seq, payload in outbox.payloads(0, 10**9)}
    assert set(made) == set(range(1, counts.acknowledged_packs + 1)) | set(pending)
    assert not set(range(1, counts.acknowledged_packs + 1)) & set(pending)
    assert all(made[seq][1] == mark for seq, mark in pending.items())
    look(outbox)
    outbox.close()


def test_a_refused_publish_is_no_delivery(
    tmp_path: Path, rigs: Callable[..., Rig], caplog: pytest.LogCaptureFixture
) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite tidemark/v1/+/+/status\ntopic readwrite tidemark/v1/+/+/ack\n")
    broker = Mosquitto(tmp_path, f"acl_file {rules}")
    try:
        rig = rigs(broker.port)
        rig.send(1)
        until(lambda: rig.device.stats().refused >= 1, "the refusal")
        assert rig.pending == 1
        assert "Not authorized" in caplog.text
    finally:
        rig.loop.stop()
        broker.stop()


def test_a_pack_beyond_the_brokers_limit_makes_no_loop_of_disconnects(
    tmp_path: Path, rigs: Callable[..., Rig], caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto(tmp_path, "max_packet_size 2000")
    try:
        rig = rigs(broker.port)
        rig.loop.submit(0, [Draft(TABLE.id, 1_700_000_000_000, list(range(300)), [0] * 300, [0.1] * 300)])
        until(lambda: rig.device.stats().refused == 1, "the refusal")
        time.sleep(1.5)
        assert (rig.device.stats().connections, rig.device.stats().refused, rig.pending) == (1, 1, 1)
        assert "max_packet_size" in caplog.text
    finally:
        rig.loop.stop()
        broker.stop()


class Resetting:
    """A proxy that cuts every connection with a TCP reset after so many bytes from the device."""

    def __init__(self, target: int, after: int) -> None:
        self.port, self.resets = free_port(), 0
        self._target, self._after = target, after
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.calm = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                device, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(device,), daemon=True).start()

    def _serve(self, device: socket.socket) -> None:
        with device, socket.create_connection(("127.0.0.1", self._target)) as broker:
            threading.Thread(target=self._back, args=(broker, device), daemon=True).start()
            seen = 0
            try:
                while data := device.recv(4096):
                    seen += len(data)
                    if seen > self._after and not self.calm.is_set():
                        self.resets += 1
                        device.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    broker.sendall(data)
            except OSError:
                return

    @staticmethod
    def _back(broker: socket.socket, device: socket.socket) -> None:
        try:
            while data := broker.recv(4096):
                device.sendall(data)
        except OSError:
            return

    def close(self) -> None:
        self._listener.close()


def test_a_storm_of_resets_loses_nothing(
    broker: Mosquitto, rigs: Callable[..., Rig], stubs: Callable[..., BridgeStub]
) -> None:
    stub, proxy = stubs(broker.port), Resetting(broker.port, after=3_000)
    rig = rigs(proxy.port)
    rig.send(120)
    until(lambda: proxy.resets >= 5, "some resets")
    proxy.calm.set()
    rig.drained()
    proxy.close()
    assert arrived(stub, rig) == attempted(rig)
    assert list(stub.order.values()) == [list(range(1, 121))]


def test_a_clock_that_steps_back_keeps_the_order(
    broker: Mosquitto, rigs: Callable[..., Rig], stubs: Callable[..., BridgeStub]
) -> None:
    stub, rig = stubs(broker.port), rigs(broker.port)
    rig.send(20)
    rig.clock.time_ms -= 3_600_000
    rig.send(20)
    rig.drained()
    assert list(stub.order.values()) == [list(range(1, 41))]


def test_garbage_on_the_ack_topic_is_reported_and_survived(
    broker: Mosquitto, rigs: Callable[..., Rig], stubs: Callable[..., BridgeStub]
) -> None:
    stub, rig = stubs(broker.port), rigs(broker.port)
    until(lambda: rig.device.stats().ready, "a connection")
    for payload in (b"", b"\xff{", b'{"v":1,"boot":"x","seq":-3}', b'{"v":9,"boot":"x","seq":3}'):
        stub._client.publish("tidemark/v1/site-1/gw-1/ack", payload, 1)
    stub._ack("site-1", "gw-1", rig.device.outbox.boot, 1_000)
    until(lambda: rig.device.stats().failures == 5, "five reports")
    stub._acked.clear()
    rig.send(30)
    rig.drained()
    assert arrived(stub, rig) == attempted(rig)


def test_a_server_that_speaks_nonsense_stops_no_other_gateway(
    broker: Mosquitto, tmp_path: Path, stubs: Callable[..., BridgeStub], caplog: pytest.LogCaptureFixture
) -> None:
    stub = stubs(broker.port)
    with socket.create_server(("127.0.0.1", 0)) as nonsense:
        threading.Thread(target=_babble, args=(nonsense,), daemon=True).start()
        devices = []
        for name, port in (("bad", nonsense.getsockname()[1]), ("good", broker.port)):
            options = DeviceOptions("site-1", name, tmp_path / f"{name}.sqlite", LIMITS, "OFF")
            link = Broker(port=port, reconnect_min_s=0.05, reconnect_max_s=0.1)
            devices.append(Device(options, link, ManualClock(1_700_000_000_000), Random(1)))
            devices[-1].declare(TABLE)
        loop = DeviceLoop(devices)
        loop.start()
        try:
            for _ in range(10):
                loop.submit(0, drafts(3))
                loop.submit(1, drafts(3))
                time.sleep(0.1)
            until(lambda: devices[1].idle, "the good gateway's acks")
            assert loop.alive()
            assert devices[0].stats().counts.pending_packs == 30
        finally:
            loop.stop()
    assert len(stub.packs) == 30


def _babble(server: socket.socket) -> None:
    rng = Random(5)
    while True:
        try:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(bytes([0x20, 0x03, 0x00, 0x00, 0x00]) if rng.random() < 0.5 else b"")
                connection.sendall(rng.randbytes(200))
                time.sleep(0.05)
        except OSError:
            if server.fileno() < 0:
                return
