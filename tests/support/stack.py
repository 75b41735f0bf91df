"""Stacks for tests: short times, free ports, logs shown when a test fails, nothing left behind."""

import time
from collections.abc import Callable
from pathlib import Path

from connectors.kit.settings import (
    BridgeSettings,
    FlinkSettings,
    KafkaSettings,
    MqttSettings,
    Settings,
    StackSettings,
    TimeSettings,
    TopicSettings,
)
from deploy.local.ports import on_free_ports
from deploy.local.processes import marked
from deploy.local.stack import Stack


def short_settings(folder: Path, parts: list[str] | None = None) -> Settings:
    """Return settings with short heartbeats and keep-alives on free ports; nothing is read from the environment."""
    stack = StackSettings(data=folder, kafka_heap_mib=256, short_lived=True)
    return on_free_ports(
        Settings(
            time=TimeSettings(grid_ms=1_000, window_ms=1_000, disorder_ms=3_000),
            mqtt=MqttSettings(keepalive_s=2, reconnect_min_s=0.2, reconnect_max_s=1.0),
            kafka=KafkaSettings(),
            topics=TopicSettings(shards=4),
            bridge=BridgeSettings(ack_ms=200, heartbeat_grace_ms=1_500, table_hold_ms=1_500),
            flink=FlinkSettings(parallelism=2, checkpoint_ms=500),
            stack=stack if parts is None else stack.model_copy(update={"parts": parts}),
        )
    )


def wait_for(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Return when the condition holds; fail otherwise."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.05)


def wait_until_nothing_is_left(folder: Path, timeout_s: float = 60.0) -> None:
    """Fail unless every process of the stack in `folder` ends by itself."""
    wait_for(lambda: not marked(folder), timeout_s, f"processes left: {[describe(pid) for pid in marked(folder)]}")


def describe(pid: int) -> str:
    """Return a process' command line, shortened."""
    try:
        return f"{pid}: {Path(f'/proc/{pid}/cmdline').read_bytes().replace(bytes(1), b' ').decode()[:120]}"
    except OSError:
        return f"{pid}: ended meanwhile"


def logs_of(stack: Stack, lines: int = 30) -> list[tuple[str, str]]:
    """Return (part, end of its log) for each part that has one."""
    return [(name, tail) for name in stack.parts if (tail := stack.log_tail(name, lines))]
