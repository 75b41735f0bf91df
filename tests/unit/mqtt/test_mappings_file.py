"""The mapping file that the settings name, and what the service does with one that can't be used."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from connectors.kit import service
from connectors.kit.settings import MqttSettings, Settings, SettingsError
from connectors.mqtt.service import mappings_of

GOOD = "{site: s, gateway: g, mappings: [{name: m, topic: x, readings: [{value: v, device: d, quantity: q}]}]}"


def settings(file: Path | None) -> Settings:
    return Settings().model_copy(update={"mqtt": MqttSettings(mappings_file=file)})


def test_without_a_file_there_are_no_mappings() -> None:
    assert mappings_of(settings(None)).filters == ()


def test_the_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mappings.yaml"
    file.write_text(GOOD)
    assert mappings_of(settings(file)).filters == ("x",)


@pytest.fixture
def restored() -> Iterator[None]:
    """Undo what a service sets for its whole process: logs, and who is told of signals."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    structlog.reset_defaults()
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("restored")
def test_a_file_that_can_not_be_used_is_a_fault_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEMARK_SETTINGS", raising=False)
    with pytest.raises(SettingsError, match=r"mqtt\.mappings_file: .*absent\.yaml"):
        mappings_of(settings(tmp_path / "absent.yaml"))

    def body(_service: service.Service) -> None:
        mappings_of(settings(tmp_path / "absent.yaml"))

    with pytest.raises(SystemExit) as ended:
        service.run_service("bridge", body)
    assert ended.value.code == service.EXIT_SETTINGS
    assert "absent.yaml" in capsys.readouterr().err
