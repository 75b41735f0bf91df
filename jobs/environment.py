"""How the detect job runs: checkpoints, bundles, watermark interval."""

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment

from jobs.options import Options
from jobs.spread import max_parallelism


def settings(options: Options) -> dict[str, str]:
    """Return the job's Flink settings."""
    found = {
        "pipeline.name": options.name,
        "pipeline.max-parallelism": str(max_parallelism(options.shards)),
        # A watermark each 50 ms and short bundles: together they are most of an alert's latency beside the checkpoint
        # (their defaults would add a second).
        "pipeline.auto-watermark-interval": "50 ms",
        # Flink waits for a bundle to be judged before it hands over the next, so short ones cost a third of the
        # throughput. With exactly-once nobody sees an alert before the next checkpoint, which ends the bundle anyway.
        "python.fn-execution.bundle.time": str(options.checkpoint_ms) if options.delivery == "exactly-once" else "10",
        # A checkpoint waits until a bundle has been judged, and a window of a large shard takes a tenth of a second.
        "python.fn-execution.bundle.size": "20",
        # No operator of ours changes a record that it was given, so none needs a copy.
        "pipeline.object-reuse": "true",
        "python.execution-mode": "process",
        # Else the workers, which take none of it, would halve what the window operators may buffer.
        "python.fn-execution.memory.managed": "false",
        "execution.checkpointing.interval": f"{options.checkpoint_ms} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        # A checkpoint that hangs must fail long before its Kafka transactions time out (10 min), and be retried.
        "execution.checkpointing.timeout": "2 min",
        "execution.checkpointing.tolerable-failed-checkpoints": "3",
        "execution.checkpointing.num-retained": "3",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.storage": "filesystem",
        "state.backend.type": "hashmap",
    }
    if options.checkpoint_dir:
        found["execution.checkpointing.dir"] = options.checkpoint_dir
    if options.parallelism:
        found["parallelism.default"] = str(options.parallelism)
    return found


def environment(options: Options) -> StreamExecutionEnvironment:
    """Return Flink's environment, with the job's settings over those of the cluster."""
    configuration = Configuration()
    for key, value in settings(options).items():
        configuration.set_string(key, value)
    return StreamExecutionEnvironment.get_execution_environment(configuration)
