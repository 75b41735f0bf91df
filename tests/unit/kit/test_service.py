"""A service ends with the exit code that says how it went."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.kit.service import Service, Unreachable, run_service


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def fails(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code"), [(None, 0), (RuntimeError("broken"), 1), (Unreachable("Kafka at 127.0.0.1:1"), 3)]
)
def test_exit_code(error: Exception | None, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        run_service("test", lambda _service: fails(error) if error else None)
    assert caught.value.code == code


def test_bad_settings_exit_with_two(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TIDEMARK_MQTT__PORT", "0")
    with pytest.raises(SystemExit) as caught:
        run_service("test", lambda _service: None)
    assert caught.value.code == 2
    assert "mqtt.port" in capsys.readouterr().err


def test_sigterm_lets_the_body_finish() -> None:
    def body(service: Service) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert service.stop.wait(5)

    with pytest.raises(SystemExit) as caught:
        run_service("test", body)
    assert caught.value.code == 0
