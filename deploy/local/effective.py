"""The settings as the parts get them: paths absolute, data below the stack's folder, written to a file of its own."""

import json
import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr

from connectors.kit.settings import SETTINGS_VARIABLE, MonitorSettings, MqttSettings, NotifierSettings, Settings
from deploy.local.gate.paths import GatePaths
from deploy.local.layout import Layout

MARKER = "TIDEMARK_EMBEDDED_STACK"
"""Environment variable of every process of a stack: its folder."""

SERVICE_USER = "tidemark"
"""As which Tidemark's own services log in at an embedded broker that listens beyond loopback."""

SUBSCRIPTIONS_NAME = "subscriptions.yaml"
"""The stack's own subscriptions, in its folder."""

Section = TypeVar("Section", bound=BaseModel)


def effective(settings: Settings, folder: Path) -> Settings:
    """Return the settings with every path absolute and the stack's data below `folder`."""
    layout = Layout(folder.absolute())
    notifier = settings.notifier
    database = (
        notifier.database if "database" in notifier.model_fields_set else layout.data("notifier") / "outbox.sqlite"
    )
    return settings.model_copy(
        update={
            "stack": settings.stack.model_copy(update={"data": layout.folder}),
            "notifier": notifier.model_copy(
                update={"database": database.absolute(), "subscriptions_file": _subscriptions(notifier, layout)}
            ),
            "mqtt": _absolute(_logged_in(settings, layout), "password_file", "ca_file", "mappings_file"),
            "monitor": _watching(settings, layout),
            "kafka": _absolute(settings.kafka, "password_file", "ca_file"),
            "influxdb": _absolute(settings.influxdb, "token_file"),
            "flink": _absolute(settings.flink, "home"),
        }
    )


def is_gated(settings: Settings) -> bool:
    """Whether these settings start a broker that listens beyond loopback, and so wants a login of everybody."""
    return bool(settings.stack.listen) and "mosquitto" in settings.stack.parts


def _logged_in(settings: Settings, layout: Layout) -> MqttSettings:
    if not is_gated(settings):
        return settings.mqtt
    login = {"username": SERVICE_USER, "password_file": GatePaths(layout.folder).service_password}
    return settings.mqtt.model_copy(update=login)


def _watching(settings: Settings, layout: Layout) -> MonitorSettings:
    """Return the monitor's settings: a broker that asks for logins has its refusals counted."""
    if not is_gated(settings) or settings.monitor.broker_log_file is not None:
        return _absolute(settings.monitor, "broker_log_file")
    return settings.monitor.model_copy(update={"broker_log_file": layout.log_file("mosquitto")})


def _subscriptions(notifier: NotifierSettings, layout: Layout) -> Path:
    """Return the subscriptions' file: the user's where there is one or one is named, else the stack's own."""
    file = notifier.subscriptions_file.absolute()
    if file.exists() or "subscriptions_file" in notifier.model_fields_set:
        return file
    return layout.folder / SUBSCRIPTIONS_NAME


def _absolute(section: Section, *names: str) -> Section:
    paths = {name: path.absolute() for name in names if (path := getattr(section, name)) is not None}
    return section.model_copy(update=paths)


def to_toml(settings: BaseModel) -> str:
    """Return the settings as TOML, secrets in plain text: the file must be its owner's alone. None is left out."""
    lines: list[str] = []
    for name in type(settings).model_fields:
        section = getattr(settings, name)
        lines.append(f"[{name}]")
        for key in type(section).model_fields:
            value = getattr(section, key)
            if value is not None:
                lines.append(f"{key} = {_toml(value)}")
        lines.append("")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def part_environment(layout: Layout) -> dict[str, str]:
    """Return the environment of the parts: the caller's, with the effective settings as the only word on settings.

    The marker names the stack's folder: whatever carries it and is left after a stop is an orphan of this stack.
    """
    # A variable of another name may hold a channel's secret.
    settings = tuple(f"TIDEMARK_{section.upper()}" for section in Settings.model_fields)
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(settings)}
    return kept | {SETTINGS_VARIABLE: str(layout.settings_file), MARKER: str(layout.folder)}
