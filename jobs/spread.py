"""Key values that spread shards evenly over Flink's subtasks.

Flink puts a key into the key group `murmur(hash) % max_parallelism` and gives each subtask a run of groups. Shard
numbers themselves would fall unevenly (two of four subtasks idle, with luck), so each shard gets a key whose group is
where the shard should be.
"""

_MASK = 0xFFFFFFFF
MIN_MAX_PARALLELISM = 128


def max_parallelism(shards: int) -> int:
    """Return the number of key groups: a power of two, at least 128 and at least `shards`. Fixed with the shards.

    >>> max_parallelism(32), max_parallelism(1000)
    (128, 1024)
    """
    return max(MIN_MAX_PARALLELISM, 1 << (shards - 1).bit_length())


def row_hash(key: int) -> int:
    """Return `Row.of(key).hashCode()` of Flink's Java, unsigned."""
    return (62 + key) & _MASK


def key_group(key: int, groups: int) -> int:
    """Return `KeyGroupRangeAssignment.assignToKeyGroup(Row.of(key), groups)`.

    >>> [key_group(key, 128) for key in (0, 1, 2, 7, 1000)]
    [33, 44, 97, 17, 5]
    """
    return _murmur(row_hash(key)) % groups


def subtask(key: int, groups: int, parallelism: int) -> int:
    """Return the subtask that is given `key`."""
    return key_group(key, groups) * parallelism // groups


def shard_keys(shards: int) -> tuple[int, ...]:
    """Return one key for each shard, their groups at equal distances."""
    groups = max_parallelism(shards)
    wanted = {shard * groups // shards: shard for shard in range(shards)}
    keys: dict[int, int] = {}
    key = 0
    while len(keys) < shards:
        shard = wanted.get(key_group(key, groups))
        if shard is not None and shard not in keys:
            keys[shard] = key
        key += 1
    return tuple(keys[shard] for shard in range(shards))


def _rotate(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & _MASK


def _murmur(code: int) -> int:
    """Return `MathUtils.murmurHash(code)` of Flink's Java."""
    code = _rotate(code * 0xCC9E2D51 & _MASK, 15)
    code = _rotate(code * 0x1B873593 & _MASK, 13)
    code = (code * 5 + 0xE6546B64) & _MASK
    code ^= 4
    code = (code ^ (code >> 16)) * 0x85EBCA6B & _MASK
    code = (code ^ (code >> 13)) * 0xC2B2AE35 & _MASK
    code ^= code >> 16
    # As a signed int: its absolute value, and 0 for the one that has none.
    return code if code < 2**31 else (2**32 - code) & 0x7FFFFFFF
