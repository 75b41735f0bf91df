"""`docs/settings.md` is complete and current."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.kit.settings import Settings, load_settings
from deploy.settingsdocs import TARGET, document, variable

PAGE = Path(__file__).parents[3] / TARGET
SETTINGS = [
    (section, key) for section, field in Settings.model_fields.items() for key in type(field.default).model_fields
]


def test_the_page_is_what_the_classes_say() -> None:
    assert PAGE.read_text() == document(), "run: python -m deploy.settingsdocs"


@pytest.mark.parametrize(("section", "key"), SETTINGS)
def test_every_setting_stands_on_the_page_once(section: str, key: str) -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{section}.{key}` |")]
    assert len(rows) == 1
    assert f"`{variable(section, key)}`" in rows[0]
    assert len(rows[0].replace("\\|", "").split("|")) == 7, "five cells"


@pytest.mark.parametrize(
    ("section", "key", "text"),
    [("kafka", "bootstrap", "elsewhere:1"), ("topics", "shards", "7"), ("influxdb", "series", '["a/*","b/*"]')],
)
def test_the_variables_named_there_are_those_that_work(
    section: str, key: str, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEMARK_SETTINGS", raising=False)
    monkeypatch.setenv(variable(section, key), text)
    assert str(getattr(getattr(load_settings(), section), key)).replace("'", '"').replace(" ", "") == text


def test_no_secret_has_a_default_that_opens_anything() -> None:
    secrets = [
        getattr(field.default, key)
        for field in Settings.model_fields.values()
        for key in ("password", "token")
        if hasattr(field.default, key)
    ]
    assert len(secrets) == 3
    assert all(isinstance(secret, SecretStr) and secret.get_secret_value() in ("", "-") for secret in secrets)
