"""Who is told what, by which channel: the subscriptions file, with every error at once and the line it is on."""

import base64
import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from standardwebhooks import Webhook

from connectors.kit.settings import SettingsError
from connectors.wire.alert import Severity, Transition

SECRET_BYTES = range(24, 65)
"""What Standard Webhooks asks of a secret."""

Lines = dict[tuple[str | int, ...], int]
Place = tuple[str | int, ...]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Match(_Section):
    """Which events; a field left out matches all. Globs are case-sensitive."""

    site: str = "*"
    gateway: str = "*"
    device: str = "*"
    quantity: str = "*"
    rule: str = "*"
    min_severity: Severity = "low"
    transitions: Annotated[tuple[Transition, ...], Field(min_length=1)] = (
        "raised",
        "escalated",
        "deescalated",
        "cleared",
    )


class _Channel(_Section):
    """What channels share.

    A secret is named by `…_file` or `…_env` and never stands in the file itself, because the file is shown and shared.
    """

    def _secret(self, name: str, folder: Path) -> str:
        file: Path | None = getattr(self, f"{name}_file")
        variable: str | None = getattr(self, f"{name}_env")
        if variable is not None and file is None:
            if not os.environ.get(variable):
                raise ValueError(f"{name}_env: the environment has no {variable}")
            return os.environ[variable].strip()
        if file is None or variable is not None:
            raise ValueError(f"give either {name}_file or {name}_env")
        try:
            return (folder / file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{name}_file: {folder / file} can't be read: {error}") from error


def _folder(info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    return folder


class WebhookChannel(_Channel):
    """A signed webhook by Standard Webhooks. While a secret is changed, its file holds both, one a line."""

    type: Literal["webhook"]
    url: Annotated[str, Field(pattern=r"^https?://[^\s/@]+(/\S*)?$")]
    secret_file: Path | None = None
    secret_env: str | None = None
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 15.0
    secrets: Annotated[tuple[str, ...], Field(init=False, repr=False, exclude=True)] = ()

    @model_validator(mode="before")
    @classmethod
    def _nothing_in_clear(cls, data: Any) -> Any:
        return _refuse_clear(data, "secret", "secrets")

    @model_validator(mode="after")
    def _read_secrets(self, info: ValidationInfo) -> Self:
        secrets = tuple(self._secret("secret", _folder(info)).split())
        if not secrets:
            raise ValueError("the secret is empty")
        for secret in secrets:
            _check_secret(secret)
        object.__setattr__(self, "secrets", secrets)
        return self


class AppriseChannel(_Channel):
    """One Apprise URL, for example `mailtos://…`; it holds passwords, so it is a secret itself."""

    type: Literal["apprise"]
    url_file: Path | None = None
    url_env: str | None = None
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 30.0
    url: Annotated[str, Field(init=False, repr=False, exclude=True)] = ""

    @model_validator(mode="before")
    @classmethod
    def _nothing_in_clear(cls, data: Any) -> Any:
        return _refuse_clear(data, "url")

    @model_validator(mode="after")
    def _read_url(self, info: ValidationInfo) -> Self:
        url = self._secret("url", _folder(info))
        if not re.fullmatch(r"[A-Za-z0-9]+://\S+", url):
            raise ValueError("url_file or url_env must hold one Apprise URL")
        object.__setattr__(self, "url", url)
        return self


class MqttChannel(_Section):
    """A publish on the broker of the settings, QoS 1."""

    type: Literal["mqtt"]
    topic: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^#+\x00]+$")]
    retain: bool = False
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0


class LogChannel(_Section):
    """JSON lines appended to a file."""

    type: Literal["log"]
    path: Path
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0

    @field_validator("path")
    @classmethod
    def _beside_the_file(cls, path: Path, info: ValidationInfo) -> Path:
        return _folder(info) / path


Channel = Annotated[WebhookChannel | AppriseChannel | MqttChannel | LogChannel, Field(discriminator="type")]


class Subscription(_Section):
    """A name, what it wants, and where it is sent.

    `name` is part of each notification's id: renaming a subscription makes it a new one.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    match: Match = Match()
    channel: Channel

    @cached_property
    def address(self) -> str:
        """What tells this channel from another: it was disabled at this address, not at a later one."""
        channel = self.channel
        if isinstance(channel, WebhookChannel | AppriseChannel):
            return f"{channel.type} {channel.url}"
        return f"{channel.type} {channel.topic if isinstance(channel, MqttChannel) else channel.path}"


class _File(_Section):
    subscriptions: tuple[Subscription, ...]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [subscription.name for subscription in self.subscriptions]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the name of more than one subscription: {', '.join(twice)}")
        return self


def load_subscriptions(path: Path) -> tuple[Subscription, ...]:
    """Read the subscriptions file.

    Raises
    ------
    SettingsError
        With every error, one a line: file, line, the subscription's name, the key.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"subscriptions file {path} can't be read: {error}") from error
    return parse_subscriptions(text, path)


def parse_subscriptions(text: str, path: Path) -> tuple[Subscription, ...]:
    """Read subscriptions from text; relative paths in it start at the folder of `path`. Raises `SettingsError`."""
    import yaml

    lines: Lines = {}
    problems: list[tuple[int, str]] = []
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = _plain(node, (), lines, problems) if node is not None else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is not YAML: {error}") from error
    try:
        file = _File.model_validate(data if data is not None else {}, context={"folder": path.absolute().parent})
    except ValidationError as error:
        problems += [_problem(data, lines, each["loc"], each["msg"]) for each in error.errors()]
    if problems:
        shown = "\n  ".join(f"{path}:{line}: {what}" for line, what in sorted(set(problems)))
        raise SettingsError(f"the subscriptions can't be used:\n  {shown}")
    return file.subscriptions


def _plain(node: Any, place: Place, lines: Lines, problems: list[tuple[int, str]]) -> Any:
    """Return a YAML node as plain values, noting the line of each place and keys that stand twice."""
    import yaml

    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*place, at), lines, problems) for at, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in found:
                problems.append((key_node.start_mark.line + 1, f"{'.'.join(map(str, (*place, key)))} stands twice"))
            found[key] = _plain(value_node, (*place, key), lines, problems)
            lines[(*place, key)] = key_node.start_mark.line + 1
        return found
    return yaml.SafeLoader("").construct_object(node)


def _problem(data: Any, lines: Lines, loc: Sequence[str | int], text: str) -> tuple[int, str]:
    """Return an error's line and words. Pydantic's location also names the union's branch, no key of the file."""
    place: Place = ()
    for part in loc:
        if (*place, part) in lines:
            place = (*place, part)
    missing = loc[-1] if loc and loc[-1] not in place else None
    keys = [str(part) for part in place[2:]] + (
        [str(missing)] if missing is not None and text == "Field required" else []
    )
    where = ": ".join([_name(data, place), *([".".join(keys)] if keys else [])])
    return lines.get(place, 1), f"{where}: {text.removeprefix('Value error, ')}"


def _name(data: Any, place: Place) -> str:
    """Name the subscription that a place lies in."""
    if len(place) < 2 or place[0] != "subscriptions":
        return "subscriptions"
    entry = data["subscriptions"][place[1]]
    name = entry.get("name") if isinstance(entry, dict) else None
    return f"subscription {name!r}" if isinstance(name, str) else f"subscription {int(place[1]) + 1}"


def _refuse_clear(data: Any, *names: str) -> Any:
    for name in names:
        if isinstance(data, dict) and name in data:
            raise ValueError(f"{name} must not stand in the file: name it by {names[0]}_file or {names[0]}_env")
    return data


def _check_secret(secret: str) -> None:
    if not secret.startswith("whsec_"):
        raise ValueError("the secret must be whsec_ and base64")
    try:
        Webhook(secret)
        size = len(base64.b64decode(secret.removeprefix("whsec_") + "=="))
    except (ValueError, RuntimeError) as error:
        raise ValueError("the secret must be whsec_ and base64") from error
    if size not in SECRET_BYTES:
        raise ValueError(f"the secret has {size} bytes; Standard Webhooks asks for 24 to 64")
