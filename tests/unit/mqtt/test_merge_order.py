"""Merging keeps each gateway's order, whatever the gateways' paces."""

import random

import pytest

from connectors.mqtt.merge import Merger
from connectors.mqtt.split import Piece
from connectors.wire.record import Part


def piece(gateway, seq, cell):
    part = Part("s", gateway, "b", seq, 0, "t", b"\0" * 4, b"\0" * 4, b"\0" * 8)
    return Piece(cell, cell, part)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("record_bytes", [400, 1 << 20])
def test_a_gateways_parts_leave_in_the_order_in_which_they_came(seed, record_bytes):
    rng = random.Random(seed)
    merger, left, wall = Merger(20.0, record_bytes), [], 0.0
    cells = dict.fromkeys("abcd", 0)
    seqs = dict.fromkeys("abcd", 0)
    for _ in range(600):
        gateway = rng.choice("abcd")
        cells[gateway] += rng.choice((0, 1, 1, 1, -2))
        seqs[gateway] += 1
        shard = "abcd".index(gateway) % 2
        left += merger.add(shard, piece(gateway, seqs[gateway], cells[gateway]), table=None, flight=None, wall_ms=wall)
        wall += rng.random() * 3
        left += merger.due(wall)
    left += merger.due(wall, everything=True)
    seen = {gateway: [] for gateway in "abcd"}
    for record in left:
        assert all(part.gateway in ("ac" if record.shard == 0 else "bd") for part in record.parts)
        for part in record.parts:
            seen[part.gateway].append(part.seq)
    assert all(seen[gateway] == list(range(1, seqs[gateway] + 1)) for gateway in "abcd")


def test_gateways_in_step_share_records():
    merger = Merger(20.0, 1 << 20)
    for seq in range(1, 4):
        for gateway in "abc":
            assert merger.add(0, piece(gateway, seq, seq), table=None, flight=None, wall_ms=0.0) == []
    assert len(merger) == 3
