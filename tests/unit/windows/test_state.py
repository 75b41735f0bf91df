"""State as bytes: self-describing, versioned, small, and refused when it can't be read."""

import numpy as np
import pytest

from connectors.rules.load import load_rules
from connectors.wire.record import Heartbeat, Part, Readings, encode_record
from connectors.wire.ruleset import Rule
from connectors.wire.series import Series, series_table
from jobs.windows.directory import CHUNK_BYTES, Directory
from jobs.windows.dump import MAGIC, StateError, pack, unpack
from jobs.windows.rules import compile_rules
from jobs.windows.shard import ShardState, Window, step
from tests.support.shards import Shard, compiled, part

LIMITS = Rule(id="hot", detector="limits", levels={"high": 50.0})


def test_a_later_version_is_refused_by_name() -> None:
    data = pack({}, {})
    with pytest.raises(StateError, match="state version 7; this build reads version 1"):
        unpack(MAGIC + (7).to_bytes(2, "little") + data[6:])


@pytest.mark.parametrize("cut", [1, 4, 8, 12, -1])
def test_bytes_that_are_cut_off_are_refused(cut: int) -> None:
    data = pack({"judged_ms": 1}, {"x": np.arange(3.0)})
    with pytest.raises(StateError):
        unpack(data[:cut])


def test_other_bytes_are_refused() -> None:
    with pytest.raises(StateError, match="not the state of a shard"):
        ShardState.restore(0, b"\x80\x04pickle", {})


def test_an_array_of_objects_is_refused() -> None:
    data = pack({}, {"x": np.arange(3.0)}).replace(b"<f8", b"|O8")
    with pytest.raises(StateError, match="damaged"):
        unpack(data)


def test_hot_and_cold_must_belong_together() -> None:
    shard = Shard(compiled(LIMITS))
    shard.see(part([1.0]))
    with pytest.raises(StateError):
        ShardState.restore(0, shard.state.hot(), {})


def test_cold_is_written_only_when_it_changed() -> None:
    shard = Shard(compiled(LIMITS))
    shard.see(part([1.0]))
    assert set(shard.state.cold_changes()) == {"names/0000", "rows/0000"}
    shard.see(part([1.0]))
    assert shard.state.cold_changes() == {}
    shard.see(part([1.0, 2.0]))
    assert set(shard.state.cold_changes()) == {"rows/0000"}


def test_a_restored_state_writes_the_same_bytes() -> None:
    shard = Shard(compiled(LIMITS))
    cold = {}
    for value in (1.0, 60.0, 2.0, 70.0):
        shard.see(part([value, value + 1]))
        cold |= shard.state.cold_changes()
        again = ShardState.restore(0, shard.state.hot(), cold)
        assert again.hot() == shard.state.hot()
        assert again.cold_changes() == {}


def test_a_large_directory_is_cut_into_chunks() -> None:
    directory = Directory()
    names = tuple(Series(f"device-{n:06d}-{'x' * 150}", "temperature", "Cel") for n in range(20_000))
    table = series_table(names)
    directory.learn_table(table)
    directory.pair_number(directory.gateway_number("s", "g"), table.id)
    directory.see(np.arange(20_000))
    chunks = directory.chunks()
    assert len(chunks) > 3 and max(map(len, chunks.values())) <= CHUNK_BYTES
    again = Directory.from_chunks(chunks)
    assert again.series_at(19_999) == directory.series_at(19_999)
    assert again.chunks() == chunks


def test_hot_state_is_at_most_128_bytes_a_series_with_the_shipped_rules() -> None:
    """Also when every tenth series has an alert of each kind."""
    count = 2_000
    table = series_table(tuple(Series(f"d{n}", "q", "") for n in range(count)))
    shard, rules = ShardState(0), compile_rules([load_rules()])
    rng = np.random.default_rng(1)
    for number in range(130):
        values = 20 + rng.standard_normal(count)
        values[:: 10 if number > 124 else count] += 50.0
        columns = (np.zeros(count, "<u4").tobytes(), np.arange(count, dtype="<u4").tobytes(), values.tobytes())
        one = Part("s", "g", "b", number + 1, 0, table.id, *columns)
        records = [
            encode_record(Readings(cell_ms=number * 1000, parts=[one], tables=[table])),
            encode_record(Heartbeat(time_ms=number * 1000, bridge="b")),
        ]
        outcome = step(shard, Window(0, number * 1000, number * 1000 + 1000, records), rules)
        assert len(shard.hot()) <= 128 * count
    assert outcome.summary is not None
    assert (shard.memories["unusual-value"].levels["level"] > 0).sum() >= 190


def test_state_of_a_rule_with_other_fields_is_taken_as_far_as_it_goes() -> None:
    """What an older detector wrote is restored by name: unknown fields dropped, new ones afresh."""
    shard = Shard(compiled(Rule(id="s", detector="score", levels={"high": 50.0})))
    for value in (1.0, 2.0, 3.0):
        shard.see(part([value]))
    hot, cold = shard.state.hot(), shard.state.cold_changes()
    values, arrays = unpack(hot)
    level = arrays["0/state/level"]
    arrays["0/state/old"] = np.zeros(1)
    del arrays["0/state/gap"]
    again = Shard(shard.rules, ShardState.restore(0, pack(values, arrays), cold), 3)
    again.see(part([4.0]))
    memory = again.state.memories["s"].state
    assert set(memory) == {"level", "scale", "gap", "windows"}
    assert memory["level"][0] != level[0] and memory["windows"][0] == 3
