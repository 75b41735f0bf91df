"""The shard of a gateway: Kafka's murmur2, so that producers in any language agree."""

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit murmur2 of `data` (Appleby's MurmurHash2 with seed 0x9747b28c).

    >>> murmur2(b"21")
    3321034988
    """
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if length & 3:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


def shard_of(gateway: str, shards: int) -> int:
    """Return the shard, which is the Kafka partition, of a gateway."""
    return (murmur2(gateway.encode()) & 0x7FFFFFFF) % shards
