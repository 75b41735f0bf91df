"""A mapping file as it is written: which topics, and where in their messages the readings are."""

from typing import Literal

import msgspec

from connectors.mapping.times import Form


class TimeSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a message says when.

    Attributes
    ----------
    at
        JMESPath, asked of the item first and of the whole message then.
    zone
        Of an ISO time that names none: `Europe/Berlin`, `UTC`, `+01:00`.
    """

    at: str
    form: Form
    zone: str = ""


class ReadingSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reading.

    Attributes
    ----------
    value
        JMESPath, asked of the item. What finds nothing makes no reading.
    quantity, device, unit
        Texts in which `{name}` is the topic's placeholder and `{=expression}` what the JMESPath finds.
        Without a device, the mapping's.
    scale, offset
        The reading is `value * scale + offset`.
    values
        Numbers that words stand for.
    """

    value: str
    quantity: str
    device: str = ""
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    values: dict[str, float] = {}


class MappingSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one kind of message means.

    Attributes
    ----------
    topic
        Levels may be placeholders `{name}`, `+`, and a last `#`.
    site, gateway
        Texts with the topic's placeholders; without them, the file's.
    format
        `json`; `senml` (RFC 8428), whose records are the items; `text`, a value by itself.
    each
        JMESPath of the list whose items have the readings; without it, the message is the only item.
    time
        Without it, event time is when the bridge received the message (in `senml`: as its records say).
    otherwise
        What becomes of a message with no reading in it at all.
    """

    name: str
    topic: str
    readings: list[ReadingSpec]
    site: str = ""
    gateway: str = ""
    device: str = ""
    format: Literal["json", "senml", "text"] = "json"
    each: str = ""
    time: TimeSpec | None = None
    otherwise: Literal["dead-letter", "ignore"] = "dead-letter"


class MappingFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping file.

    Attributes
    ----------
    site, gateway
        For mappings that name none.
    ignore
        MQTT topic filters: messages there are nobody's, though a mapping's topic may fit.
    """

    version: Literal[1] = 1
    site: str = ""
    gateway: str = ""
    ignore: list[str] = []
    mappings: list[MappingSpec]
