"""What the plan must be, asked of Flink's planner itself; no cluster is needed."""

from pathlib import Path
from typing import Any

import pytest

from deploy.local.flink.distribution import CONNECTOR
from jobs import sql
from jobs.environment import settings
from jobs.options import Options
from jobs.spread import key_group

pytestmark = pytest.mark.integration

GOLDEN = Path(__file__).parents[1] / "golden/operator-ids.txt"


def planned(**changes: Any) -> Any:
    from pyflink.common import Configuration
    from pyflink.datastream import StreamExecutionEnvironment

    from jobs.topology import build

    options = Options(parallelism=2, checkpoint_dir="file:///tmp", **changes)
    configuration = Configuration()
    for key, value in (settings(options) | {"pipeline.jars": CONNECTOR.as_uri()}).items():
        configuration.set_string(key, value)
    return build(StreamExecutionEnvironment.get_execution_environment(configuration), options)


@pytest.fixture(scope="module")
def plan() -> Any:
    return planned()


@pytest.fixture(scope="module")
def explained(plan: Any) -> str:
    return str(plan.windows.explain())


@pytest.fixture(scope="module")
def transformations(plan: Any) -> dict[int, Any]:
    found: dict[int, Any] = {}
    waiting = list(plan.environment._j_stream_execution_environment.getTransformations())
    while waiting:
        one = waiting.pop()
        if one.getId() not in found:
            found[one.getId()] = one
            waiting.extend(one.getInputs())
    return found


def test_readings_have_one_source_which_windows_and_late_rows_share(
    explained: str, transformations: dict[int, Any]
) -> None:
    execution = explained.rpartition("== Optimized Execution Plan ==")[2]
    assert execution.count("TableSourceScan(") == 1
    assert "Reused(reference_id=[1])" in execution
    sources = [str(one.getName()) for one in transformations.values() if "Source" in one.getClass().getSimpleName()]
    assert sorted(name.rpartition(".")[2] for name in sources) == ["readings", "rules"]


def test_the_watermark_is_made_in_the_source_for_each_partition(explained: str) -> None:
    execution = explained.rpartition("== Optimized Execution Plan ==")[2]
    (scan,) = [line for line in execution.splitlines() if "TableSourceScan(" in line]
    assert "watermark=[-(" in scan
    assert "WatermarkAssigner" not in execution


def test_windows_are_flinks_own_and_no_python_is_below_them(explained: str, transformations: dict[int, Any]) -> None:
    assert "GlobalWindowAggregate(" in explained
    assert "Python" not in explained
    python = [one for one in transformations.values() if "Python" in one.getClass().getSimpleName()]
    assert [str(one.getName()) for one in python] == ["judge"]
    assert not [one for one in transformations.values() if "_stream_key_by_map_operator" in str(one.getName())]


def test_operator_ids_are_the_golden_ones(plan: Any) -> None:
    """An id that changes loses its operator's state at an upgrade: change the file only with a migration."""
    assert plan.operator_ids == GOLDEN.read_text().split("\n")[:-1]


def test_every_operator_of_the_job_graph_has_an_id_of_ours(plan: Any) -> None:
    graph = plan.environment._j_stream_execution_environment.getStreamGraph(False).getJobGraph()
    pairs = [pair for vertex in graph.getVerticesSortedTopologicallyFromSources() for pair in vertex.getOperatorIDs()]
    unnamed = [str(pair.getGeneratedOperatorID()) for pair in pairs if not pair.getUserDefinedOperatorUid()]
    assert len(pairs) >= len(plan.operator_ids)
    assert unnamed == []


def test_other_windows_and_shards_have_the_same_operators(plan: Any) -> None:
    assert planned(window_ms=900_000, disorder_ms=259_200_000, shards=4).operator_ids == plan.operator_ids
    assert planned(delivery="low-latency").operator_ids == plan.operator_ids


def test_key_groups_are_those_of_flink(plan: Any) -> None:
    from pyflink.java_gateway import get_gateway
    from pyflink.util.java_utils import to_jarray

    jvm = get_gateway().jvm
    assign = jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignToKeyGroup
    row = jvm.org.apache.flink.types.Row.of
    for key in (*range(0, 400, 3), 100_000, 2**31 - 63):
        assert assign(row(to_jarray(jvm.java.lang.Object, [key])), 128) == key_group(key, 128)


def test_sinks_are_the_four_topics(transformations: dict[int, Any]) -> None:
    sinks = [one for one in transformations.values() if one.getClass().getSimpleName() == "SinkTransformation"]
    assert sorted(str(one.getUid()).replace("-", "_") for one in sinks) == sorted(map(sql.sink_name, sql.SINKS))
