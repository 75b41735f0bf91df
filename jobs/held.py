"""Windows that wait for the rules, as bytes in the job's state."""

import msgspec

from jobs.windows.shard import Window


class Held(msgspec.Struct, frozen=True, array_like=True):
    """A window, or a late record (then `records` has one), as it came; in this form it waits for rules."""

    shard: int
    start_ms: int
    end_ms: int
    records: list[bytes]
    first_offset: int
    last_offset: int
    late: bool

    def window(self) -> Window:
        """Return it as the step takes it."""
        return Window(self.shard, self.start_ms, self.end_ms, self.records, self.first_offset, self.last_offset)


_DECODER = msgspec.msgpack.Decoder(Held)


def encode_held(held: Held) -> bytes:
    """Return it as bytes."""
    return b"\x01" + msgspec.msgpack.encode(held)


def decode_held(data: bytes) -> Held:
    """Return what `encode_held` was given.

    Raises
    ------
    ValueError
        If a later Tidemark wrote it.
    """
    if data[:1] != b"\x01":
        raise ValueError(f"held window of version {data[0]}; this build knows 1")
    return _DECODER.decode(data[1:])
