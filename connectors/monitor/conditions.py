"""What is wrong with the pipeline, judged from what can be seen of it. Pure."""

from dataclasses import dataclass, field
from typing import Literal

RuleId = Literal["bridge-silent", "job-down", "job-restarted", "windows-stalled", "late-dropped"]


@dataclass(frozen=True)
class Limits:
    """From when on something counts as wrong; all wall time.

    Attributes
    ----------
    bridge_silent_ms
        Heartbeats reach each partition in each cell; longer than a cell, a reconnect and the grace after it.
    job_down_ms
        Longer than the job takes to recover by itself.
    windows_stalled_ms
        Longer than a window and the disorder bound.
    restarted_ms
        How long a restart stays an alert.
    """

    bridge_silent_ms: int = 90_000
    job_down_ms: int = 60_000
    windows_stalled_ms: int = 120_000
    restarted_ms: int = 300_000


@dataclass(frozen=True)
class Observation:
    """One look at the pipeline.

    Attributes
    ----------
    wall_ms
        When.
    readings_end, summaries_end
        Sum of the end offsets of the two topics; None where Kafka does not answer.
    job_running
        Whether a job of ours is RUNNING; None where Flink does not answer.
    restarts, late_dropped
        The job's own counts; None where unknown.
    """

    wall_ms: int
    readings_end: int | None
    summaries_end: int | None
    job_running: bool | None
    restarts: int | None = None
    late_dropped: int | None = None


@dataclass(frozen=True)
class Finding:
    """Something that is wrong now."""

    rule_id: RuleId
    detail: str
    score: float
    limit: float


@dataclass
class _Progress:
    """Since when a number has stood still."""

    value: int | None = None
    since_ms: int = 0

    def stood_ms(self, value: int | None, wall_ms: int) -> int:
        if value is not None and value != self.value:
            self.value, self.since_ms = value, wall_ms
        return wall_ms - self.since_ms if self.value is not None else 0


@dataclass
class Conditions:
    """Judges each observation by those before it."""

    limits: Limits = field(default_factory=Limits)
    _readings: _Progress = field(default_factory=_Progress)
    _summaries: _Progress = field(default_factory=_Progress)
    _down_since_ms: int | None = None
    _restarts: int | None = None
    _restarted_ms: int | None = None

    def judge(self, seen: Observation) -> list[Finding]:
        """Return what is wrong, at most one finding a rule."""
        findings = (self._bridge(seen), self._job(seen), self._restart(seen), self._windows(seen), _dropped(seen))
        return [finding for finding in findings if finding is not None]

    def _bridge(self, seen: Observation) -> Finding | None:
        stood_ms = self._readings.stood_ms(seen.readings_end, seen.wall_ms)
        if stood_ms <= self.limits.bridge_silent_ms:
            return None
        detail = f"The bridge has written neither readings nor heartbeats for {stood_ms / 1000:.0f} s."
        return Finding("bridge-silent", detail, stood_ms, self.limits.bridge_silent_ms)

    def _job(self, seen: Observation) -> Finding | None:
        if seen.job_running:
            self._down_since_ms = None
            return None
        if self._down_since_ms is None:
            self._down_since_ms = seen.wall_ms
        down_ms = seen.wall_ms - self._down_since_ms
        if down_ms <= self.limits.job_down_ms:
            return None
        why = "Flink does not answer" if seen.job_running is None else "no job of ours is running"
        return Finding("job-down", f"For {down_ms / 1000:.0f} s {why}.", down_ms, self.limits.job_down_ms)

    def _restart(self, seen: Observation) -> Finding | None:
        if seen.restarts is not None:
            if self._restarts is not None and seen.restarts > self._restarts:
                self._restarted_ms = seen.wall_ms
            self._restarts = seen.restarts
        if self._restarted_ms is None or seen.wall_ms - self._restarted_ms > self.limits.restarted_ms:
            return None
        return Finding("job-restarted", f"The job has restarted by itself; {self._restarts} times so far.", 1.0, 1.0)

    def _windows(self, seen: Observation) -> Finding | None:
        stood_ms = self._summaries.stood_ms(seen.summaries_end, seen.wall_ms)
        # Without new readings there is nothing to judge: that is the bridge's alert, not a second one.
        is_fed = self._readings.stood_ms(seen.readings_end, seen.wall_ms) < self.limits.windows_stalled_ms
        if stood_ms <= self.limits.windows_stalled_ms or not is_fed:
            return None
        detail = f"Readings come in, but no window was judged for {stood_ms / 1000:.0f} s."
        return Finding("windows-stalled", detail, stood_ms, self.limits.windows_stalled_ms)


def _dropped(seen: Observation) -> Finding | None:
    if not seen.late_dropped:
        return None
    detail = f"Flink's window operator has dropped {seen.late_dropped} late records; they are in tidemark.readings.v1."
    return Finding("late-dropped", detail, float(seen.late_dropped), 0.0)
