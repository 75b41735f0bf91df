import pytest

from jobs.spread import key_group, max_parallelism, shard_keys, subtask


@pytest.mark.parametrize("parallelism", [1, 2, 4])
@pytest.mark.parametrize("shards", [1, 4, 7, 16, 32, 100, 128, 200, 1024])
def test_shards_spread_evenly_over_subtasks(shards: int, parallelism: int) -> None:
    groups = max_parallelism(shards)
    counts = [0] * parallelism
    for key in shard_keys(shards):
        counts[subtask(key, groups, parallelism)] += 1
    assert max(counts) - min(counts) <= 1


def test_every_shard_has_a_key_of_its_own() -> None:
    assert len(set(shard_keys(1024))) == 1024


def test_a_key_of_each_group_is_found_for_the_largest_number_of_shards() -> None:
    assert {key_group(key, 1024) for key in shard_keys(1024)} == set(range(1024))


def test_groups_are_those_of_the_java_that_runs_the_job() -> None:
    # Printed by KeyGroupRangeAssignment.assignToKeyGroup(Row.of(key), 128) of Flink 2.3.0.
    assert [key_group(key, 128) for key in (0, 1, 2, 7, 1000, -5)] == [33, 44, 97, 17, 5, 96]


def test_keys_are_fixed_because_state_hangs_on_them() -> None:
    assert shard_keys(4) == (250, 13, 22, 113)
