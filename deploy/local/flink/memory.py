"""How a task manager's and a job manager's memory is divided. All sizes are MiB."""

from dataclasses import dataclass

METASPACE = 256
FRAMEWORK_HEAP = 128
FRAMEWORK_OFF_HEAP = 128
NETWORK = 64  # 2,048 buffers: enough for this job at parallelism 8
TASK_OFF_HEAP = 64  # gRPC to the Python workers

MANAGED_SHARE = 0.3
"""Of what a task manager has left. The window operators buffer records in it, half each, divided by slots; one shard's
window (some MB) has to fit. The rest is heap, where the state lies."""


def overhead(process: int) -> int:
    """Return what Flink leaves to the JVM itself: a tenth, at least 192.

    >>> overhead(1024), overhead(4096)
    (192, 409)
    """
    return max(192, process // 10)


@dataclass(frozen=True)
class TaskManagerMemory:
    """A task manager's share of `process` MiB (its Python workers are processes of their own, not in it)."""

    process: int

    @property
    def _left(self) -> int:
        fixed = METASPACE + FRAMEWORK_HEAP + FRAMEWORK_OFF_HEAP + NETWORK + TASK_OFF_HEAP
        return self.process - overhead(self.process) - fixed

    @property
    def managed(self) -> int:
        """Off-heap memory of the window operators."""
        return int(self._left * MANAGED_SHARE)

    @property
    def task_heap(self) -> int:
        """Heap for the job."""
        return self._left - self.managed

    def settings(self) -> dict[str, str]:
        """Return the keys that a task manager started without its script must find, none derived."""
        return {
            "taskmanager.memory.framework.heap.size": f"{FRAMEWORK_HEAP}m",
            "taskmanager.memory.task.heap.size": f"{self.task_heap}m",
            "taskmanager.memory.framework.off-heap.size": f"{FRAMEWORK_OFF_HEAP}m",
            "taskmanager.memory.task.off-heap.size": f"{TASK_OFF_HEAP}m",
            "taskmanager.memory.network.min": f"{NETWORK}m",
            "taskmanager.memory.network.max": f"{NETWORK}m",
            "taskmanager.memory.managed.size": f"{self.managed}m",
            "taskmanager.memory.jvm-metaspace.size": f"{METASPACE}m",
            "taskmanager.memory.jvm-overhead.min": f"{overhead(self.process)}m",
            "taskmanager.memory.jvm-overhead.max": f"{overhead(self.process)}m",
        }

    def java_options(self) -> list[str]:
        """Return the JVM's limits. The heap is not taken at the start: a small fleet needs little of it."""
        heap = self.task_heap + FRAMEWORK_HEAP
        direct = FRAMEWORK_OFF_HEAP + TASK_OFF_HEAP + NETWORK
        return [f"-Xmx{heap}m", f"-XX:MaxDirectMemorySize={direct}m", f"-XX:MaxMetaspaceSize={METASPACE}m"]


@dataclass(frozen=True)
class JobManagerMemory:
    """A job manager's share of `process` MiB."""

    process: int

    def settings(self) -> dict[str, str]:
        """Return the key that Flink shows in its web page."""
        return {"jobmanager.memory.process.size": f"{self.process}m"}

    def java_options(self) -> list[str]:
        """Return the JVM's limits."""
        heap = self.process - overhead(self.process) - METASPACE - FRAMEWORK_OFF_HEAP
        return [f"-Xmx{heap}m", f"-XX:MaxMetaspaceSize={METASPACE}m"]
