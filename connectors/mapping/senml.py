"""SenML in JSON (RFC 8428): records resolved against their base fields, so that each says all by itself."""

from typing import Any

from connectors.mapping.refusal import Refusal, quoted

NEWEST_VERSION = 10
ABSOLUTE_FROM_S = 2**28
"""Smaller times are relative to now (section 4.5.3)."""

_MARKS = ":/_-. "
_BASES = {"bn", "bt", "bu", "bv", "bs", "bver"}


def resolve(message: Any) -> list[dict[str, Any]]:
    """Return a pack's records with `n`, `u`, the value as it is named, and `t`.

    `t` is in seconds since 1970 UTC. A record whose time is relative has `since` instead: seconds since the receipt.
    Names that can be parted are also given as `device` and `quantity`: base name and name, else at the last : or /.

    Raises
    ------
    Refusal
        `malformed`, or `unknown-version`: what must be understood and isn't would make every record wrong.

    >>> resolve([{"bn": "dev:", "bt": 1.7e9, "bu": "A", "n": "i", "t": -5, "v": 1.2}])
    [{'n': 'dev:i', 'u': 'A', 'device': 'dev', 'quantity': 'i', 't': 1699999995.0, 'v': 1.2}]
    """
    if not isinstance(message, list) or not message:
        raise Refusal("malformed", f"a SenML pack is a list of records, not {quoted(message)}")
    base: dict[str, Any] = {"bn": "", "bt": 0, "bu": "", "bv": None, "bs": None}
    resolved = []
    for place, record in enumerate(message):
        if not isinstance(record, dict):
            raise Refusal("malformed", f"SenML record {place} is {quoted(record)}")
        strange = [label for label in record if isinstance(label, str) and label.endswith("_")]
        if strange:
            raise Refusal(
                "malformed", f"SenML record {place}: field {quoted(strange[0])} must be understood, and isn't"
            )
        base |= {label: record[label] for label in _BASES if label in record}
        _check(base, place)
        if record.keys() - _BASES:
            resolved.append(_record(record, base, place))
    return resolved


def _check(base: dict[str, Any], place: int) -> None:
    version = base.get("bver", NEWEST_VERSION)
    if isinstance(version, bool) or not isinstance(version, int) or version > NEWEST_VERSION:
        raise Refusal("unknown-version", f"SenML version {quoted(version)}; {NEWEST_VERSION} is the newest known")
    for label in ("bn", "bu"):
        if not isinstance(base[label], str):
            raise Refusal("malformed", f"SenML record {place}: {label} is {quoted(base[label])}")
    for label in ("bt", "bv", "bs"):
        if not _is_number(base[label]) and (base[label] is not None or label == "bt"):
            raise Refusal("malformed", f"SenML record {place}: {label} is {quoted(base[label])}")


def _record(record: dict[str, Any], base: dict[str, Any], place: int) -> dict[str, Any]:
    name, offset = record.get("n", ""), record.get("t", 0)
    if not isinstance(name, str) or not _is_number(offset):
        raise Refusal("malformed", f"SenML record {place}: n is {quoted(name)}, t is {quoted(offset)}")
    time = base["bt"] + offset
    plain: dict[str, Any] = {"n": base["bn"] + name, "u": record.get("u", base["bu"])}
    plain |= _parted(base["bn"], name)
    plain |= {"t": time} if time >= ABSOLUTE_FROM_S else {"since": time}
    plain |= {label: value for label, value in record.items() if label not in _BASES and label not in plain}
    plain.pop("t" if "since" in plain else "since", None)
    for value, added in (("v", base["bv"]), ("s", base["bs"])):
        if added is not None and _is_number(plain.get(value)):
            plain[value] += added
    return plain


def _parted(base: str, name: str) -> dict[str, str]:
    device, quantity = base.rstrip(_MARKS), name.strip(_MARKS)
    if not device or not quantity:
        device, _, quantity = (base + name).replace("/", ":").rpartition(":")
    return {"device": device, "quantity": quantity} if device and quantity else {}


def _is_number(value: Any) -> bool:
    # A longer integer is no time and no measurement, and adding a float to it would overflow.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63
