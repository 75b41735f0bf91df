"""Turn a parsed TOML table into typed structs and report everything that is wrong with it, not just the first.

pydantic does this too, and costs 12 MiB resident, which is a third of what the agent may have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: which key, its value as TOML has it (empty when missing), why, and the mend."""

    key: str
    value: str
    why: str
    mend: str

    def __str__(self) -> str:
        shown = f" = {self.value}" if self.value else ""
        return f"{self.key}{shown}: {self.why}; {self.mend}"


def build(kind: type[S], table: Mapping[str, Any], problems: list[Problem], where: str = "") -> S | None:
    """Convert `table`; None if anything in it is wrong, which is then appended to `problems`.

    Examples
    --------
    >>> class Lamp(msgspec.Struct):
    ...     watts: int
    ...     name: str
    >>> found: list[Problem] = []
    >>> build(Lamp, {"watts": "ten", "nmae": "desk"}, found)
    >>> [str(problem) for problem in found]
    ["watts = 'ten': Expected `int`, got `str`; give it another value",
     'name: is missing; add it',
     "nmae = 'desk': is no setting; did you mean name?"]
    """
    before = len(problems)
    values: dict[str, Any] = {}
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for name, field in fields.items():
        key = f"{where}{name}"
        if name in table:
            values[name] = _value(field.type, table[name], key, problems)
        elif field.required:
            problems.append(Problem(key, "", "is missing", _mend(field.type, "add it")))
    for name in table.keys() - fields.keys():
        near = get_close_matches(name, fields, 1)
        mend = f"did you mean {near[0]}?" if near else f"known are {', '.join(fields)}"
        problems.append(Problem(f"{where}{name}", repr(table[name]), "is no setting", mend))
    return kind(**values) if len(problems) == before else None


def _value(kind: Any, value: Any, key: str, problems: list[Problem]) -> Any:
    """Convert one value; nested tables and arrays of tables are gone into, so that each reports its own."""
    inner: Any = get_args(kind)[0] if get_origin(kind) is tuple else None
    if _is_struct(kind) and isinstance(value, Mapping):
        return build(kind, value, problems, f"{key}.")
    if _is_struct(inner) and isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return tuple(build(inner, item, problems, f"{key}[{at}].") for at, item in enumerate(value))
    try:
        return msgspec.convert(value, kind, dec_hook=_path)
    except msgspec.ValidationError as error:
        problems.append(Problem(key, repr(value), str(error), _mend(kind, "give it another value")))
        return None


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError("Expected the path of a file")


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _mend(kind: Any, default: str) -> str:
    """Return what the setting's annotation says to do."""
    for part in (kind, *get_args(kind)):
        for meta in getattr(part, "__metadata__", ()):
            if isinstance(meta, msgspec.Meta) and meta.extra:
                return str(meta.extra.get("mend", default))
    return default
