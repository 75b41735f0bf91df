"""Mapping files: YAML in, checked mappings out, or every error at once."""

from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from connectors.mapping.compiled import CompiledMapping, CompiledReading, CompiledTime
from connectors.mapping.document import MappingFile, MappingSpec
from connectors.mapping.expression import Expression, Text, checked_name
from connectors.mapping.mappings import Mappings
from connectors.mapping.refusal import Refusal
from connectors.mapping.topics import TemplateError, TopicTemplate, covers, topic_template

_KEYS = set(MappingFile.__struct_fields__)


class MappingError(Exception):
    """A mapping file that can't be used; the message lists every error, one a line."""

    def __init__(self, where: str, problems: list[str]) -> None:
        super().__init__(f"{where} can't be used:\n  " + "\n  ".join(problems))
        self.problems = problems


def load_mappings(path: Path) -> Mappings:
    """Read a mapping file. Raises `MappingError` with every error, each naming its mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(str(path), [str(error)]) from error
    return parse_mappings(text, str(path))


def parse_mappings(text: str, where: str = "the mapping file") -> Mappings:
    """Parse a mapping file's text. Raises `MappingError` with every error, each naming its mapping."""
    import yaml

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise MappingError(where, [f"not YAML: {error}"]) from error
    if not isinstance(document, dict) or not isinstance(document.get("mappings"), list) or not document["mappings"]:
        raise MappingError(where, ["a mapping file is a mapping with a list `mappings`, of one entry or more"])
    problems = [
        f"{key!r} is no key of a mapping file ({', '.join(sorted(_KEYS))})" for key in document if key not in _KEYS
    ]
    head = {key: value for key, value in document.items() if key in _KEYS} | {"mappings": []}
    try:
        file = msgspec.convert(head, MappingFile)
    except msgspec.ValidationError as error:
        raise MappingError(where, [*problems, str(error)]) from error
    specs = [_spec(entry, place, file, problems) for place, entry in enumerate(document["mappings"], start=1)]
    compiled = [mapping for spec in specs if spec is not None and (mapping := _compiled(spec, problems)) is not None]
    problems += _together(compiled, file.ignore)
    if problems:
        raise MappingError(where, problems)
    return Mappings(compiled, file.ignore)


def _spec(entry: Any, place: int, file: MappingFile, problems: list[str]) -> MappingSpec | None:
    name = entry.get("name", f"number {place}") if isinstance(entry, dict) else f"number {place}"
    try:
        # Not strict, because YAML takes 1e-3 for a text.
        spec = msgspec.convert(entry, MappingSpec, strict=False)
    except msgspec.ValidationError as error:
        problems.append(f"mapping {name}: {error}")
        return None
    return msgspec.structs.replace(spec, site=spec.site or file.site, gateway=spec.gateway or file.gateway)


def _compiled(spec: MappingSpec, problems: list[str]) -> CompiledMapping | None:
    """Compile a mapping; what is wrong with it goes to `problems`."""
    own = _problems(spec)
    problems.extend(f"mapping {spec.name}: {problem}" for problem in own)
    return None if own else CompiledMapping(spec)


def _problems(spec: MappingSpec) -> list[str]:
    """Return everything that is wrong with a mapping by itself."""
    problems: list[str] = []
    topic = _try(problems, "topic", lambda: topic_template(spec.topic))
    names = topic.names if isinstance(topic, TopicTemplate) else ()
    for kind in ("site", "gateway"):
        text = getattr(spec, kind)
        if not text:
            problems.append(f"{kind}: none is given, neither here nor for the whole file")
        elif topic is not None:
            _try(problems, kind, lambda kind=kind, text=text: _home(kind, text, names))
    if spec.each:
        _try(problems, "each", lambda: Expression(spec.each))
    if spec.time is not None:
        _try(problems, "time", lambda: CompiledTime(spec.time))
    if not spec.readings:
        problems.append("readings: the list is empty")
    for place, reading in enumerate(spec.readings, start=1):
        if not (reading.device or spec.device):
            problems.append(f"reading {place}: no device, neither here nor for the whole mapping")
        if not isfinite(reading.scale + reading.offset + sum(reading.values.values())):
            problems.append(f"reading {place}: scale, offset and values must be finite")
        if topic is not None:
            _try(problems, f"reading {place}", lambda one=reading: CompiledReading(one, spec.device, names))
    return problems


def _home(kind: str, text: str, names: tuple[str, ...]) -> None:
    template = Text(text, names)
    if template.from_message:
        raise TemplateError(f"{text!r}: a {kind} comes from the topic, not from the message")
    try:
        checked_name(kind, template.fill(dict.fromkeys(names, "x")))
    except Refusal as refusal:
        raise TemplateError(refusal.detail) from refusal


def _try(problems: list[str], what: str, work: Any) -> Any:
    try:
        return work()
    except TemplateError as error:
        problems.append(f"{what}: {error}")
        return None


def _together(mappings: list[CompiledMapping], ignore: list[str]) -> list[str]:
    """Return what is wrong with the mappings beside each other."""
    names = [one.spec.name for one in mappings]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems = [f"mapping {name}: its name is used more than once" for name in twice]
    problems += [
        f"mappings {one.spec.name} and {other.spec.name}: of their topics {one.spec.topic} and {other.spec.topic} one "
        "takes all that the other does, so the broker would deliver it twice"
        for one, other in combinations(mappings, 2)
        if covers(one.topic.filter, other.topic.filter) or covers(other.topic.filter, one.topic.filter)
    ]
    for text in ignore:
        _try(problems, f"ignore {text!r}", lambda text=text: topic_template(text))
    return problems
