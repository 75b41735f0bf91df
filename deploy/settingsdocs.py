"""Writes `docs/settings.md` from the settings' classes: `python -m deploy.settingsdocs`."""

import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import msgspec
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from connectors.kit.settings import DEFAULT_FILE, SETTINGS_VARIABLE, Settings

TARGET = Path("docs/settings.md")

HEAD = f"""\
<!-- Written by python -m deploy.settingsdocs from connectors/kit/settings.py; change it there. -->

# Settings

Settings stand in `{DEFAULT_FILE}` in the working directory, or in the file that the variable `{SETTINGS_VARIABLE}`
names. Each has a default, so the file holds only what differs. A variable of the environment wins over the file; lists
are written there as JSON. Mistakes are reported all at once, and a key that does not exist is one. `tidemark up` writes
what is in effect to `settings.toml` in its data folder.

```toml
[kafka]
bootstrap = "kafka-1.example.org:9093,kafka-2.example.org:9093"
security_protocol = "SASL_SSL"
username = "tidemark"
password_file = "/etc/tidemark/kafka-password"
```

A password or token belongs into a file that its owner alone may read, named by `password_file` or `token_file`.
"""

_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    SecretStr: "secret text",
    Path: "path",
    types.NoneType: "none",
}


def type_text(annotation: Any, limits: Sequence[Any] = ()) -> str:
    r"""Return a type in words, with its limits.

    >>> type_text(int | None), type_text(list[float]), type_text(Literal["a", "b"])
    ('whole number or none', 'list of numbers', '`a` or `b`')
    >>> type_text(int, [annotated_types.Ge(1), annotated_types.Le(9)])
    'whole number, 1 to 9'
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *rest = get_args(annotation)
        return type_text(inner, rest)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin in (types.UnionType, Union):
        return " or ".join(map(type_text, get_args(annotation)))
    if origin is list:
        word, comma, limit = type_text(*get_args(annotation)).partition(",")
        return f"list of {word}s{comma}{limit}"
    return _WORDS[annotation] + _limits(limits)


def _limits(metadata: Sequence[Any]) -> str:
    found = list(_flat(metadata))
    least = next((one.ge for one in found if isinstance(one, annotated_types.Ge)), None)
    most = next((one.le for one in found if isinstance(one, annotated_types.Le)), None)
    above = next((one.gt for one in found if isinstance(one, annotated_types.Gt)), None)
    if least is not None and most is not None:
        return f", {least} to {most}"
    if least is not None:
        return f", at least {least}"
    if above is not None:
        return f", more than {above}"
    return ", not empty" if any(isinstance(one, annotated_types.MinLen) for one in found) else ""


def _flat(metadata: Sequence[Any]) -> Iterator[Any]:
    for one in metadata:
        if isinstance(one, FieldInfo):
            yield from one.metadata
        else:
            yield one


def default_text(value: Any) -> str:
    """Return a default as TOML writes it.

    >>> default_text(["*"]), default_text(None), default_text("-"), default_text(SecretStr("")), default_text(True)
    ('`["*"]`', 'none', '`"-"`', 'empty', '`true`')
    """
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None:
        return "none"
    if value == "":
        return "empty"
    return f"`{msgspec.json.encode(str(value) if isinstance(value, Path) else value).decode()}`"


def variable(section: str, key: str) -> str:
    """Return the variable of the environment that sets a setting.

    >>> variable("kafka", "bootstrap")
    'TIDEMARK_KAFKA__BOOTSTRAP'
    """
    prefix, delimiter = Settings.model_config["env_prefix"], Settings.model_config["env_nested_delimiter"]
    return f"{prefix}{section}{delimiter}{key}".upper()


def _row(section: str, key: str, field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined or not field.description:
        raise ValueError(f"{section}.{key} has no default or no description")
    cells = (
        f"`{section}.{key}`",
        f"`{variable(section, key)}`",
        type_text(field.annotation, field.metadata),
        default_text(default),
        field.description,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _section(name: str, model: type[BaseModel]) -> str:
    rows = [_row(name, key, field) for key, field in model.model_fields.items()]
    head = ["| setting | environment | type | default | meaning |", "|---|---|---|---|---|"]
    return "\n".join([f"## {name}", "", (model.__doc__ or "").strip(), "", *head, *rows]) + "\n"


def document() -> str:
    """Return the page."""
    sections = [_section(name, type(field.default)) for name, field in Settings.model_fields.items()]
    return "\n".join([HEAD, *sections])


def main(target: Path = TARGET) -> None:
    """Write the page."""
    target.write_text(document())


if __name__ == "__main__":
    main()
