"""Keeps the job running: submits it when the cluster is there, and again after a job manager was lost.

A standalone job manager forgets its jobs when it dies. On SIGTERM the keeper stops the job with a savepoint.
"""

import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from connectors.kit.kafka import client_options
from connectors.kit.settings import KafkaSettings, Settings, load_settings
from connectors.wire.topics import KAFKA_TOPICS
from deploy.local.flink.rest import Cluster, ClusterRefused, ClusterUnreachable
from deploy.local.flink.submit import Echo, SubmitFailed, active_job, is_wanted, stop, submit

LOOK_S = 1.0
"""How soon a lost job is seen."""
RETRY_S = 10.0
KAFKA_LIMIT_S = 1.0
"""A Kafka that is just starting answers nothing; it is asked again."""


class Stopping(Exception):
    """The keeper was told to stop while it waited."""


class Keeper:
    """Looks once a second whether the job is there.

    Parameters
    ----------
    settings
        Of the cluster and the job.
    submit_job
        Submits it, or raises `SubmitFailed`. It is called while the cluster may still be starting, and given a function
        that says whether the rest is ready.
    echo
        Told what happens.
    """

    def __init__(self, settings: Settings, submit_job: Callable[[Callable[[], bool]], object], echo: Echo) -> None:
        self._settings = settings
        self._submit = submit_job
        self._echo = echo
        self._has_worked = False
        self.stopping = threading.Event()

    def run(self) -> None:
        """Keep the job until told to stop, then stop it.

        Raises
        ------
        SubmitFailed
            If the very first submission fails: then it is the settings, and people are waiting for it.
        """
        while not self.stopping.is_set():
            try:
                self.look()
            except (Stopping, ClusterUnreachable) as reason:
                self._echo(str(reason))
            except (SubmitFailed, ClusterRefused) as error:
                if not self._has_worked:
                    raise
                self._echo(f"{error}; next try in {RETRY_S:.0f} s")
                self.stopping.wait(RETRY_S)
            self.stopping.wait(LOOK_S)
        self.end()

    def look(self) -> None:
        """Submit the job if it is wanted and not there. A cluster that doesn't answer is one that starts."""
        try:
            active = active_job(Cluster(self._settings.flink.rest)) is not None
        except ClusterUnreachable:
            active = False
        if not active and is_wanted(self._settings):
            self._submit(self.is_ready)
            active = True
        self._has_worked = self._has_worked or active

    def is_ready(self) -> bool:
        """Whether Kafka has the topics that the job reads.

        Raises
        ------
        Stopping
            If the keeper was told to stop meanwhile.
        """
        if self.stopping.is_set():
            raise Stopping("told to stop while the job was being submitted")
        return has_topics(self._settings.kafka)

    def end(self) -> None:
        """Stop the job; if it can't be, its newest checkpoint is what the next start goes on from."""
        try:
            self._echo(stop(self._settings, self._echo) or "no job to stop")
        except (ClusterUnreachable, ClusterRefused) as error:
            self._echo(f"the job was not stopped with a savepoint ({error}); its newest checkpoint is kept")


def main() -> None:
    """Run the keeper with the settings that `TIDEMARK_SETTINGS` names."""
    settings = load_settings()
    keeper = Keeper(settings, lambda ready: submit(settings, echo=say, ready=ready), say)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: keeper.stopping.set())
    Path(settings.stack.data, "run").mkdir(parents=True, exist_ok=True)
    try:
        keeper.run()
    except (SubmitFailed, ClusterRefused) as error:
        say(str(error))
        sys.exit(1)


def has_topics(kafka: KafkaSettings) -> bool:
    """Whether Kafka answers and has all of Tidemark's topics."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        # Quiet: while Kafka starts, each look would print refused connections.
        there = AdminClient(client_options(kafka) | {"log_level": 0}).list_topics(timeout=KAFKA_LIMIT_S).topics
    except KafkaException:
        return False
    return all(topic.name in there for topic in KAFKA_TOPICS)


def say(text: str) -> None:
    """Log a line."""
    print(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
