"""Keeps the job running: submits it when the cluster is there, and again after a job manager was lost.

A standalone job manager forgets its jobs when it dies. On SIGTERM the keeper stops the job with a savepoint.
"""

import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from connectors.kit.settings import Settings, load_settings
from deploy.local.flink.rest import Cluster, ClusterRefused, ClusterUnreachable
from deploy.local.flink.submit import Echo, SubmitFailed, active_job, is_wanted, stop, submit

LOOK_S = 1.0
"""How soon a lost job is seen."""
SLOTS_LIMIT_S = 90.0
"""How long slots may be missing before that is an error: a task manager registers some seconds after its start."""
RETRY_S = 10.0


class Keeper:
    """Looks once a second whether the job is there.

    Parameters
    ----------
    settings
        Of the cluster and the job.
    submit_job
        Submits it, or raises `SubmitFailed`.
    echo
        Told what happens.
    """

    def __init__(self, settings: Settings, submit_job: Callable[[], object], echo: Echo) -> None:
        self._settings = settings
        self._submit = submit_job
        self._echo = echo
        self._waited_s = 0.0
        self._has_worked = False
        self.stopping = threading.Event()

    def run(self) -> None:
        """Keep the job until told to stop, then stop it.

        Raises
        ------
        SubmitFailed
            If the very first submission fails: then it is the settings, and people are waiting for it.
        """
        while not self.stopping.wait(LOOK_S):
            try:
                self.look()
            except ClusterUnreachable:
                continue  # being started, or restarted
            except (SubmitFailed, ClusterRefused) as error:
                if not self._has_worked:
                    raise
                self._echo(f"{error}; next try in {RETRY_S:.0f} s")
                self.stopping.wait(RETRY_S)
        self.end()

    def look(self) -> None:
        """Submit the job if it is wanted, not there, and has room."""
        cluster = Cluster(self._settings.flink.rest)
        if active_job(cluster) is not None:
            self._has_worked = True
            return
        if not is_wanted(self._settings):
            return
        if cluster.free_slots() < self._settings.flink.parallelism and self._waited_s < SLOTS_LIMIT_S:
            self._waited_s += LOOK_S
            return
        self._waited_s = 0.0
        self._submit()
        self._has_worked = True

    def end(self) -> None:
        """Stop the job; if it can't be, its newest checkpoint is what the next start goes on from."""
        try:
            self._echo(stop(self._settings, self._echo) or "no job to stop")
        except (ClusterUnreachable, ClusterRefused) as error:
            self._echo(f"the job was not stopped with a savepoint ({error}); its newest checkpoint is kept")


def main() -> None:
    """Run the keeper with the settings that `TIDEMARK_SETTINGS` names."""
    settings = load_settings()
    keeper = Keeper(settings, lambda: submit(settings, echo=say), say)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: keeper.stopping.set())
    Path(settings.stack.data, "run").mkdir(parents=True, exist_ok=True)
    try:
        keeper.run()
    except (SubmitFailed, ClusterRefused) as error:
        say(str(error))
        sys.exit(1)


def say(text: str) -> None:
    """Log a line."""
    print(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
