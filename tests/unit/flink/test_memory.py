import pytest

from deploy.local.flink.memory import JobManagerMemory, TaskManagerMemory


def mebibytes(text: str) -> int:
    assert text.endswith("m")
    return int(text[:-1])


@pytest.mark.parametrize("process", [1024, 2048, 4096, 16384])
def test_a_task_managers_shares_add_up(process: int) -> None:
    settings = TaskManagerMemory(process).settings()
    shares = [value for key, value in settings.items() if not key.endswith((".max", ".network.min"))]
    assert sum(map(mebibytes, shares)) + mebibytes(settings["taskmanager.memory.network.max"]) == process
    assert mebibytes(settings["taskmanager.memory.task.heap.size"]) > 0


def test_the_jvm_is_limited_to_its_share() -> None:
    options = TaskManagerMemory(2048).java_options()
    heap = next(option for option in options if option.startswith("-Xmx"))
    assert mebibytes(heap[4:]) < 2048
    assert mebibytes(JobManagerMemory(1024).java_options()[0][4:]) == 448
