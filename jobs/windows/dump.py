"""State as bytes: a versioned header that names every array with its dtype and length, then the arrays themselves.

Never pickle: bytes written by one version of the code are read by the next, whatever moved between.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

MAGIC = b"TMST"
VERSION = 1


class StateError(ValueError):
    """State that this build can't read."""


class _Column(msgspec.Struct, frozen=True, array_like=True):
    name: str
    dtype: str
    length: int


class _Header(msgspec.Struct, frozen=True):
    values: dict[str, Any]
    columns: list[_Column]


_HEADER = msgspec.msgpack.Decoder(_Header)


def pack(values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return values (plain numbers, texts, lists) and one-dimensional arrays as bytes.

    >>> unpack(pack({"judged_ms": 7}, {"x": np.array([1.5, 2.5])}))
    ({'judged_ms': 7}, {'x': array([1.5, 2.5])})
    """
    columns = [_Column(name, array.dtype.str, array.size) for name, array in arrays.items()]
    header = msgspec.msgpack.encode(_Header(dict(values), columns))
    front = MAGIC + VERSION.to_bytes(2, "little") + len(header).to_bytes(4, "little")
    return b"".join([front, header, *(array.tobytes() for array in arrays.values())])


def unpack(data: bytes) -> tuple[dict[str, Any], Arrays]:
    """Return what `pack` was given; the arrays can be written to.

    Raises
    ------
    StateError
        If the bytes are of another version, not state at all, or cut off.
    """
    if data[:4] != MAGIC:
        msg = "not the state of a shard"
        raise StateError(msg)
    version = int.from_bytes(data[4:6], "little")
    if version != VERSION:
        msg = f"state version {version}; this build reads version {VERSION}"
        raise StateError(msg)
    start = 10 + int.from_bytes(data[6:10], "little")
    try:
        header = _HEADER.decode(data[10:start])
        return header.values, _arrays(data, start, header.columns)
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        msg = f"state is damaged: {error}"
        raise StateError(msg) from error


def _arrays(data: bytes, start: int, columns: list[_Column]) -> Arrays:
    arrays: Arrays = {}
    for one in columns:
        dtype = np.dtype(one.dtype)
        if dtype.hasobject or one.length < 0:
            msg = f"array {one.name} is of {dtype} and length {one.length}"
            raise ValueError(msg)
        arrays[one.name] = np.frombuffer(data, dtype, one.length, start).copy()
        start += one.length * dtype.itemsize
    if start != len(data):
        msg = f"{len(data)} bytes instead of {start}"
        raise ValueError(msg)
    return arrays
