"""Our murmur2 is Kafka's: the values are those of Kafka's own test of its Java implementation."""

import pytest

from connectors.wire.partition import murmur2, shard_of


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed % 2**32


def test_gateways_spread_over_shards() -> None:
    counts = [0] * 32
    for number in range(3200):
        counts[shard_of(f"gw-{number}", 32)] += 1
    assert min(counts) > 50
    assert max(counts) < 150
