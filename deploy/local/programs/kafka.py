"""Kafka: one process as broker and controller (KRaft), without replicas."""

import base64
import os
import shutil
import subprocess
import uuid
from pathlib import Path

from connectors.kit.settings import Settings
from deploy.local.classdata import QUICKLY, ClassData
from deploy.local.effective import write_private
from deploy.local.health import check_kafka
from deploy.local.layout import PARTS_HOME, Layout
from deploy.local.part import Launch, Part
from deploy.local.ports import PortUse, split_address

JARS = PARTS_HOME / "kafka"
FORMAT_TIMEOUT_S = 60
"""Formatting takes two seconds; a Java that hangs must not hang `up`."""

CONFIGURATION = """\
# Written by Tidemark at each start.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}

# A mistyped topic is an error, not a new topic.
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Flink's sinks ask for up to an hour; the default of 15 minutes makes the job fail at its start.
transaction.max.timeout.ms=3600000
# A consumer that was away for a month still finds its place (the default is a week).
offsets.retention.minutes=43200

# One machine, few clients: small buffers, quick start, quick first assignment of a group.
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
broker.heartbeat.interval.ms=500
"""

LOG_CONFIGURATION = """\
# Written by Tidemark at each start. Standard output is the log; the supervisor keeps and rotates it.
status = warn
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS} %-5p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.kafka.name = kafka
logger.kafka.level = info
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
"""


class KafkaFailed(Exception):
    """Kafka's data folder can't be prepared; the message holds what its tool said."""


def java() -> str:
    """Return the Java of JAVA_HOME, else of the PATH."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else shutil.which("java") or "java"


def class_path() -> str:
    """Return Kafka's jars in a fixed order: the shared class data is tied to it."""
    return os.pathsep.join(sorted(map(str, JARS.glob("*.jar"))))


def java_argv(shared: tuple[str, ...], *options: str) -> tuple[str, ...]:
    """Return Java with the flags that every start of Kafka's programs shares, and its class data's."""
    quiet = ("-Xlog:disable", "-Xlog:all=error:stderr")
    return (java(), "-XX:+UseSerialGC", *quiet, *shared, *options, "-cp", class_path())


def kafka_part(settings: Settings, layout: Layout) -> Part:
    """Return the broker."""
    host, port = split_address(settings.kafka.bootstrap)
    stack = settings.stack
    config, logs = layout.config("kafka.properties"), layout.config("kafka-log4j2.properties")
    return Part(
        name="kafka",
        launch=lambda: _launch(settings, layout, config, logs),
        check=lambda: check_kafka(settings.kafka),
        address=f"{host}:{port}",
        ports=(
            PortUse("kafka.bootstrap", host, port),
            PortUse("stack.kafka_controller_port", host, stack.kafka_controller_port),
        ),
        stage=3,
        stop_s=30.0,
    )


def _launch(settings: Settings, layout: Layout, config: Path, logs: Path) -> Launch:
    host, port = split_address(settings.kafka.bootstrap)
    data, classes = layout.data("kafka"), ClassData(layout.class_data)
    values = {"host": host, "port": port, "controller": settings.stack.kafka_controller_port, "data": data}
    write_private(config, CONFIGURATION.format(**values))
    write_private(logs, LOG_CONFIGURATION)
    if not (data / "meta.properties").exists():
        _format(shared(classes, write=False), config, logs)
    heap = f"-Xmx{settings.stack.kafka_heap_mib}m"
    compiling = QUICKLY if settings.stack.short_lived else ()
    options = (heap, *compiling, "-XX:+ExitOnOutOfMemoryError", f"-Dlog4j2.configurationFile={logs}")
    return Launch((*java_argv(shared(classes), *options), "kafka.Kafka", str(config)))


def shared(classes: ClassData, *, write: bool = True) -> tuple[str, ...]:
    """Return Java's options for Kafka's class data."""
    return classes.options("kafka", Path(java()), class_path(), write=write)


def _format(shared: tuple[str, ...], config: Path, logs: Path) -> None:
    argv = java_argv(shared, *QUICKLY, f"-Dlog4j2.configurationFile={logs}")
    tool = ("kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id()}", "-c", str(config))
    result = subprocess.run(
        (*argv, *tool), capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S, start_new_session=True, check=False
    )
    if result.returncode != 0:
        raise KafkaFailed(f"Kafka's data folder can't be formatted: {result.stdout[-500:]}{result.stderr[-500:]}")


def cluster_id() -> str:
    """Return a new cluster id: 22 characters of URL-safe base64."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
