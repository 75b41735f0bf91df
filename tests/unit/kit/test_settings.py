"""Settings: one file, the environment over it, and all errors at once."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.kit.settings import Settings, SettingsError, load_settings, read_secret


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tidemark.toml"
    path.write_text("")
    monkeypatch.setenv("TIDEMARK_SETTINGS", str(path))
    return path


def test_empty_file_gives_the_defaults(settings_file: Path) -> None:
    settings = load_settings()
    assert settings.time.grid_ms == 10_000
    assert settings.topics.shards == 32


def test_environment_overrides_the_file(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_file.write_text('[kafka]\nbootstrap = "file:9092"\n[mqtt]\nhost = "file"\n')
    monkeypatch.setenv("TIDEMARK_KAFKA__BOOTSTRAP", "environment:9092")
    settings = load_settings()
    assert settings.kafka.bootstrap == "environment:9092"
    assert settings.mqtt.host == "file"


def test_all_errors_come_at_once(settings_file: Path) -> None:
    settings_file.write_text(
        '[time]\nwindow_ms = 15000\n[kafka]\nreplication = 0\nbotstrap = "x"\n[mqtt]\nport = 70000\n'
    )
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    for part in ("whole number of cells", "kafka.replication", "kafka.botstrap", "mqtt.port"):
        assert part in message


def test_broken_toml_is_named(settings_file: Path) -> None:
    settings_file.write_text("[kafka\n")
    with pytest.raises(SettingsError, match=r"tidemark\.toml can't be read"):
        load_settings()


def test_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_SETTINGS", str(tmp_path / "absent.toml"))
    with pytest.raises(SettingsError, match="is no file"):
        load_settings()


def test_secrets_come_from_files_and_are_masked(settings_file: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("canary\n")
    settings_file.write_text(f'[mqtt]\npassword = "canary"\n[kafka]\npassword_file = "{tmp_path}/secret"\n')
    settings = load_settings()
    assert settings.kafka.secret() == "canary"
    assert settings.mqtt.secret() == "canary"
    assert "canary" not in repr(settings)


def test_unreadable_secret_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="absent"):
        read_secret(SecretStr(""), tmp_path / "absent")


def test_every_setting_is_described() -> None:
    for name, section in Settings.model_fields.items():
        for key, field in type(section.default).model_fields.items():
            assert field.description, f"{name}.{key}"
