"""What was done to a simulated fleet: the truth that alerts are measured against, one JSON line a fault."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

FaultKind = Literal["spike", "shift", "drift", "stuck", "dropout"]
FAULT_KINDS: tuple[FaultKind, ...] = ("spike", "shift", "drift", "stuck", "dropout")


class TruthError(ValueError):
    """A truth file that can't be read or written; the message names the file, and the line where there is one."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of one series.

    Attributes
    ----------
    start_ms, end_ms
        Event time, `[start, end)`, on window boundaries.
    magnitude
        Signed, in standard deviations of a reading's noise; 0 for `stuck` and `dropout`, which have none.
    """

    gateway: str
    device: str
    quantity: str
    kind: FaultKind
    start_ms: int
    end_ms: int
    magnitude: float = 0.0


def write_truth(path: Path, faults: Iterable[Fault]) -> None:
    """Write faults as JSON lines.

    Raises
    ------
    TruthError
        If the file can't be written.
    """
    encode = msgspec.json.encode
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(encode(fault) + b"\n" for fault in faults))
    except OSError as error:
        raise TruthError(f"{path}: {error.strerror}") from error


def read_truth(path: Path) -> list[Fault]:
    """Read faults from JSON lines.

    Raises
    ------
    TruthError
        Naming file and line, or saying why the file can't be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise TruthError(f"{path}: {error.strerror}") from error
    faults: list[Fault] = []
    for number, line in enumerate(lines, start=1):
        try:
            faults.append(msgspec.json.decode(line, type=Fault))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TruthError(f"{path}:{number}: {error}") from error
    return faults
