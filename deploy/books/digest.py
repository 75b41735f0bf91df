"""A digest of content that doesn't depend on how a pack was split: the sum of its readings' digests, modulo 2⁶⁴."""

import math

import numpy as np
import numpy.typing as npt

from connectors.wire.pack import Pack
from deploy.books.keys import I64, U64

_GOLDEN = 0x9E3779B97F4A7C15


def _mix(bits: U64) -> U64:
    """Return splitmix64's finaliser of `bits`: every input bit reaches every output bit."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: U64 = bits ^ (bits >> np.uint64(31))
    return mixed


def reading_digests(
    index: npt.NDArray[np.uint32],
    time_ms: I64,
    series: npt.NDArray[np.uint32],
    values: npt.NDArray[np.float64],
    quality: npt.NDArray[np.uint8],
) -> U64:
    """Return one digest a reading, of its place in the pack, event time, series, value and quality; all `(n,)`."""
    digest = _mix(index.astype(np.uint64) + np.uint64(_GOLDEN))
    for field in (time_ms.view(np.uint64), series.astype(np.uint64), values.view(np.uint64), quality.astype(np.uint64)):
        digest = _mix(digest ^ (field + np.uint64(_GOLDEN)))
    return digest


def pack_digest(pack: Pack) -> int | None:
    """Return the digest of a pack as its device committed it; None where a reading is bad: the bridge leaves it out."""
    count = len(pack.values)
    try:
        times = [math.floor(pack.base_ms + offset) for offset in pack.offsets_ms]  # type: ignore[operator]
        values = np.array(pack.values, np.float64)
        series = np.array(pack.series, np.uint32)
        quality = np.array(pack.quality or [0] * count, np.uint8)
        columns = np.array(times, np.int64), series, values, quality
    except (TypeError, ValueError, OverflowError):
        return None
    if not np.isfinite(values).all() or {len(times), len(series), len(quality)} != {count}:
        return None
    return int(reading_digests(np.arange(count, dtype=np.uint32), *columns).sum(dtype=np.uint64))
