"""Payloads that are not what they should be: hand-made ones, and seeded mutations of good packs."""

import random
from collections.abc import Iterator

import msgspec

from connectors.wire.pack import Pack
from connectors.wire.versions import to_json, to_msgpack


def by_hand(good: Pack) -> dict[str, bytes]:
    """Return name → payload, each dead as a whole."""
    json, plain = to_json(good), msgspec.to_builtins(good)

    def with_(**fields: object) -> bytes:
        return msgspec.json.encode(plain | fields)

    def without(name: str) -> bytes:
        return msgspec.json.encode({key: value for key, value in plain.items() if key != name})

    return {
        "empty": b"",
        "one byte": b"\x00",
        "not JSON": b"hello",
        "a list": b"[1,2,3]",
        "a number": b"42",
        "cut short": json[: len(json) // 2],
        "something behind": json + b"}",
        "bad UTF-8": json.replace(b'"boot":"', b'"boot":"\xff\xfe'),
        "deep JSON": b'{"v":1,"boot":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        "NaN literal": json.replace(b'"values":[', b'"values":[NaN,'),
        "Infinity literal": json.replace(b'"values":[', b'"values":[Infinity,'),
        "seq 2^63": with_(seq=2**63),
        "seq 0": with_(seq=0),
        "seq negative": with_(seq=-1),
        "seq as text": with_(seq="7"),
        "boot with a newline": with_(boot="b\n1"),
        "no seq": without("seq"),
        "no values": without("values"),
        "values as text": with_(values=["1.5"] * len(good.values)),
        "values as a map": with_(values={"0": 1.5}),
        "null values": with_(values=None),
        "columns differ": with_(values=good.values[:-1]),
        "no readings": with_(values=[], offsets_ms=[], series=[]),
        "too many readings": with_(values=[1.0] * 4097, offsets_ms=[0] * 4097, series=[0] * 4097),
        "unknown field": with_(colour="red"),
        "a later version": with_(v=2),
        "version 0": with_(v=0),
        "version as text": with_(v="1"),
        "another gateway": with_(gateway="somebody-else"),
        "unknown table": with_(table="0123456789abcdef"),
        "MessagePack cut short": to_msgpack(good)[:-3],
        "MessagePack nil": b"\xc0",
        "gzip": b"\x1f\x8b\x08\x00" + bytes(64),
        "too large": json[:-1] + b" " * 70_000 + b"}",
    }


def mutated(packs: list[Pack], count: int, seed: str) -> Iterator[bytes]:
    """Yield `count` payloads: good packs with bits flipped, bytes cut out, doubled, or replaced."""
    draw = random.Random(seed)
    for _ in range(count):
        pack = draw.choice(packs)
        data = bytearray(draw.choice((to_json, to_msgpack))(pack))
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(data))
            end = min(len(data), at + draw.randint(1, 8))
            match draw.randrange(4):
                case 0:
                    data[at] ^= 1 << draw.randrange(8)
                case 1:
                    del data[at:end]
                case 2:
                    data[at:at] = data[at:end]
                case 3:
                    data[at:end] = draw.randbytes(end - at)
        yield bytes(data)
