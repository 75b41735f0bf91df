"""The cluster's `config.yaml`, its log settings, and the exact commands of its two programs."""

import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from connectors.kit.settings import Settings
from deploy.local.classdata import QUICKLY, ClassData
from deploy.local.flink.distribution import Distribution, find_distribution
from deploy.local.flink.memory import JobManagerMemory, TaskManagerMemory

JOB_MANAGER_CLASS = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER_CLASS = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
REPORTER_CLASS = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"

LOG_SETTINGS = """\
# Written by Tidemark. Standard output is the log; who starts the program keeps and rotates it.
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS} %-5p %c{1} - %m%n
# The clients print their whole configuration for every checkpoint's transaction.
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
logger.connector.name = org.apache.flink.kafka.shaded
logger.connector.level = WARN
logger.producer.name = org.apache.flink.connector.kafka.sink
logger.producer.level = WARN
# It warns at each start that two sinks have committers in one task.
logger.metrics.name = org.apache.flink.metrics.MetricGroup
logger.metrics.level = ERROR
logger.netty.name = org.jboss.netty.channel.DefaultChannelPipeline
logger.netty.level = OFF
"""

CLIENT_LOG_SETTINGS = """\
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS} %-5p %c{1} - %m%n
"""


@dataclass(frozen=True)
class Command:
    """A program to start: its arguments, and what its environment has beyond ours."""

    argv: list[str]
    env: dict[str, str]


@dataclass(frozen=True)
class FlinkCommands:
    """The two programs of the cluster. Both run in the foreground and end on SIGTERM.

    Attributes
    ----------
    conf
        The folder that `FLINK_CONF_DIR` names.
    rest
        Where the job manager answers: healthy when `GET http://<rest>/overview` does, and the task manager when its
        `taskmanagers` is 1.
    ports
        Port → who listens there, all on loopback.
    """

    job_manager: Command
    task_manager: Command
    conf: Path
    rest: str
    ports: dict[int, str]


def write_flink_conf(settings: Settings, folder: Path, classes: ClassData) -> FlinkCommands:
    """Write the cluster's settings into `folder`/conf; checkpoints and savepoints go under `folder` too.

    Parameters
    ----------
    settings, folder
        Of the stack, and the cluster's data.
    classes
        Java's class data.

    Raises
    ------
    FlinkMissing
        If the distribution or Java can't be found.
    """
    distribution = find_distribution(settings.flink.home)
    folder = folder.resolve()
    conf = folder / "conf"
    for part in (conf, folder / "checkpoints", folder / "savepoints", folder / "tmp"):
        part.mkdir(parents=True, exist_ok=True)
    (conf / "config.yaml").write_text(yaml.safe_dump(cluster_settings(settings, folder, distribution), width=10_000))
    (conf / "log4j.properties").write_text(LOG_SETTINGS)
    # For `bin/flink` called by hand with this folder as FLINK_CONF_DIR.
    (conf / "log4j-cli.properties").write_text(CLIENT_LOG_SETTINGS)
    task_manager, job_manager = _memory(settings)
    compiling = QUICKLY if settings.stack.short_lived else ()
    path = distribution.cluster_class_path()

    def options(program: str, *more: str) -> list[str]:
        # An archive without the classes of a running job would save half of what it can.
        shared = classes.options(program, distribution.java, path, write="job" in settings.stack.parts)
        return [*more, *shared]

    return FlinkCommands(
        # It does little, and starts thrice as fast.
        job_manager=_command(
            distribution,
            conf,
            options("jobmanager", "-XX:+UseSerialGC", *QUICKLY, *job_manager.java_options()),
            JOB_MANAGER_CLASS,
        ),
        task_manager=_command(
            distribution,
            conf,
            # Most of the heap is windows that live for seconds: G1 takes a fifth more processor time to collect them.
            options("taskmanager", "-XX:+UseParallelGC", *compiling, *task_manager.java_options()),
            TASK_MANAGER_CLASS,
        ),
        conf=conf,
        rest=settings.flink.rest,
        ports={rest_port(settings): "Flink's web page", settings.stack.flink_rpc_port: "Flink's job manager"}
        | dict.fromkeys(metrics_ports(settings), "Flink's metrics"),
    )


def rest_port(settings: Settings) -> int:
    """Return the port of the REST address."""
    return int(settings.flink.rest.rpartition(":")[2])


def cluster_settings(settings: Settings, folder: Path, distribution: Distribution) -> dict[str, object]:
    """Return `config.yaml` as flat keys."""
    task_manager, job_manager = _memory(settings)
    host = settings.flink.rest.rpartition(":")[0]
    return {
        "env.java.opts.all": " ".join(distribution.java_options()),
        "jobmanager.rpc.address": host,
        "jobmanager.rpc.port": settings.stack.flink_rpc_port,
        "jobmanager.bind-host": host,
        "rest.address": host,
        "rest.bind-address": host,
        "rest.port": rest_port(settings),
        "rest.bind-port": str(rest_port(settings)),
        "taskmanager.host": host,
        "taskmanager.bind-host": host,
        "taskmanager.cpu.cores": float(settings.stack.task_slots),
        "taskmanager.numberOfTaskSlots": settings.stack.task_slots,
        "parallelism.default": settings.flink.parallelism,
        # Jobs are submitted by the client. Uploading a jar through the web page would run anyone's code.
        "web.submit.enable": False,
        "web.cancel.enable": False,
        "io.tmp.dirs": str(folder / "tmp"),
        # The cluster has every jar that the job needs, and shares their classes between runs.
        "classloader.resolve-order": "parent-first",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "execution.checkpointing.storage": "filesystem",
        "execution.checkpointing.dir": (folder / "checkpoints").as_uri(),
        "execution.checkpointing.savepoint-dir": (folder / "savepoints").as_uri(),
        # The default of 10 s for a few threads to start is too short for a machine that starts everything at once.
        "pekko.startup-timeout": "60 s",
        # A dead task manager is known after two refused calls, not after 50 s; a busy machine still has 30 s.
        "heartbeat.interval": "2 s",
        "heartbeat.timeout": "30 s",
        "heartbeat.rpc-failure-threshold": 2,
        # Ends never: the stack restarts what died, and the job has to be there when it is back.
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "500 ms",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "2 min",
        **task_manager.settings(),
        **job_manager.settings(),
        **_reporter(settings),
    }


def metrics_ports(settings: Settings) -> tuple[int, ...]:
    """Return the ports of Flink's own metrics: the two programs take one each, whoever comes first the first."""
    port = settings.stack.flink_metrics_port
    return (port, port + 1) if port else ()


def _reporter(settings: Settings) -> dict[str, object]:
    """Return the settings of Flink's Prometheus reporter. It takes no address to listen on, so it is off by default."""
    ports = metrics_ports(settings)
    if not ports:
        return {}
    prefix = "metrics.reporter.prometheus"
    return {f"{prefix}.factory.class": REPORTER_CLASS, f"{prefix}.port": f"{ports[0]}-{ports[-1]}"}


def _memory(settings: Settings) -> tuple[TaskManagerMemory, JobManagerMemory]:
    stack = settings.stack
    return TaskManagerMemory(stack.flink_task_manager_mib), JobManagerMemory(stack.flink_job_manager_mib)


def _command(distribution: Distribution, conf: Path, options: list[str], main: str) -> Command:
    argv = [
        str(distribution.java),
        *options,
        "-XX:+IgnoreUnrecognizedVMOptions",  # an add-exports that a later Java no longer knows
        *distribution.java_options(),
        f"-Dlog4j.configurationFile=file:{conf / 'log4j.properties'}",
        "-classpath",
        distribution.cluster_class_path(),
        main,
        "--configDir",
        str(conf),
    ]
    # A worker imports the job that was submitted, not one that lies in the folder where its task manager was started.
    return Command(argv, distribution.environment(conf) | {"PYTHONSAFEPATH": "1"})
