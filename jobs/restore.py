"""Whether a savepoint or checkpoint fits the plan: state that no operator would take is refused before the start."""

from collections.abc import Iterable, Mapping

from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway

RESTORE_PATH = "execution.state-recovery.path"
IGNORE_UNCLAIMED = "execution.state-recovery.ignore-unclaimed-state"


class StateWouldBeLost(Exception):
    """The savepoint holds state that the new plan has no operator for."""


def orphans(saved: Mapping[str, str], planned: Iterable[str]) -> list[str]:
    """Return the names of the saved operators (id → name) that are not planned, sorted."""
    known = set(planned)
    return sorted(name for operator, name in saved.items() if operator not in known)


def check_restore(environment: StreamExecutionEnvironment) -> str | None:
    """Compare the ids in the savepoint that `flink run -s` named with the plan's; return its path, None without one.

    Raises
    ------
    StateWouldBeLost
        With the operators by name, unless `flink run --allowNonRestoredState` was said.
    """
    inner = environment._j_stream_execution_environment  # noqa: SLF001 - no public way to the configuration
    configuration = inner.getConfiguration()
    path: str = configuration.getString(RESTORE_PATH, "")
    if not path:
        return None
    planned = planned_operators(environment)
    lost = orphans(saved_operators(path), planned)
    if lost and configuration.getString(IGNORE_UNCLAIMED, "false") != "true":
        raise StateWouldBeLost(f"{path} holds state of {', '.join(lost)}, which this job has no operator for")
    return path


def planned_operators(environment: StreamExecutionEnvironment) -> set[str]:
    """Return the plan's operator ids, as 32 hex digits."""
    graph = environment._j_stream_execution_environment.getStreamGraph(False).getJobGraph()  # noqa: SLF001
    found = set()
    for vertex in graph.getVerticesSortedTopologicallyFromSources():
        for pair in vertex.getOperatorIDs():
            chosen = pair.getUserDefinedOperatorID()
            found.add(str(chosen.get() if chosen.isPresent() else pair.getGeneratedOperatorID()))
    return found


def saved_operators(path: str) -> dict[str, str]:
    """Return id → name of the operators that have state in a savepoint or checkpoint."""
    jvm = get_gateway().jvm
    storage = jvm.org.apache.flink.runtime.state.filesystem.AbstractFsCheckpointStorageAccess
    location = storage.resolveCheckpointPointer(path)
    stream = jvm.java.io.DataInputStream(location.getMetadataHandle().openInputStream())
    try:
        loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
        saved = jvm.org.apache.flink.runtime.checkpoint.Checkpoints.loadCheckpointMetadata(stream, loader, path)
    finally:
        stream.close()
    found = {}
    for operator in jvm.java.util.ArrayList(saved.getOperatorStates()):
        subtasks = jvm.java.util.ArrayList(operator.getStates())
        if any(subtask.hasState() for subtask in subtasks) or operator.getCoordinatorState() is not None:
            name = operator.getOperatorUid()
            found[str(operator.getOperatorID())] = (
                str(name.get()) if name.isPresent() else str(operator.getOperatorID())
            )
    return found
