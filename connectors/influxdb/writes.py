"""Writing a batch so that one bad point costs no other: what time may mend is retried, what never will is cut out."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from connectors.kit.backoff import Backoff, Random


class Reason(StrEnum):
    """Why a write failed: a closed set, and a metric's label."""

    UNREACHABLE = "unreachable"  # no connection, or it broke
    TIMEOUT = "timeout"
    THROTTLED = "throttled"  # 429
    SERVER = "server"  # 5xx: a full disk, a full cache, an unknown retention policy of 1.8
    UNAUTHORISED = "unauthorised"  # 401, 403: an operator must act; no point is at fault
    NO_BUCKET = "no-bucket"  # 404: the same
    UNEXPECTED = "unexpected"  # a status that means nothing here, for example a proxy's
    TOO_LARGE = "too-large"  # 413
    REJECTED = "rejected"  # 400, 422: malformed, another type than before, older than the retention

    @property
    def is_the_points(self) -> bool:
        """Whether the fault lies in the points, so that trying again is of no use."""
        return self in (Reason.TOO_LARGE, Reason.REJECTED)


_BY_STATUS = {
    400: Reason.REJECTED,
    401: Reason.UNAUTHORISED,
    403: Reason.UNAUTHORISED,
    404: Reason.NO_BUCKET,
    408: Reason.TIMEOUT,
    413: Reason.TOO_LARGE,
    422: Reason.REJECTED,
    429: Reason.THROTTLED,
}


def reason_of(status: int) -> Reason:
    """Return the reason that a response's status stands for."""
    return _BY_STATUS.get(status) or (Reason.SERVER if status >= 500 else Reason.UNEXPECTED)


class WriteError(Exception):
    """A write failed.

    Attributes
    ----------
    retry_after_s
        How long the server asks to wait; 0 if it doesn't say.
    """

    def __init__(self, reason: Reason, detail: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s


class Stopped(Exception):
    """The service stops before all was done; nothing of it may be committed."""


class HasLine(Protocol):
    """What is written."""

    @property
    def line(self) -> str:
        """The point in line protocol."""
        ...


P = TypeVar("P", bound=HasLine)


class Refusal(NamedTuple):
    """Why a point was refused."""

    reason: Reason
    detail: str


class Writer:
    """Writes batches.

    Parameters
    ----------
    post
        Writes lines, or raises `WriteError`.
    wait
        Waits so many seconds; returns False if the service stops meanwhile.
    on_failure, on_success
        Told of each.
    """

    def __init__(
        self,
        *,
        post: Callable[[str], None],
        wait: Callable[[float], bool],
        backoff: Backoff,
        random: Random,
        on_failure: Callable[[WriteError], None],
        on_success: Callable[[int], None],
    ) -> None:
        self._post = post
        self._wait = wait
        self._backoff = backoff
        self._random = random
        self._on_failure = on_failure
        self._on_success = on_success

    def write(self, points: Sequence[P]) -> list[tuple[P, Refusal]]:
        """Write all points and return those that InfluxDB refuses for good.

        A refused batch is halved until the bad points stand alone; the good ones are written again on the way, which
        changes nothing, because a point has one place. One bad point in n costs about 2 log2(n) requests.

        Raises
        ------
        Stopped
            If the service stops before all is written.
        """
        refused: list[tuple[P, Refusal]] = []
        open_parts: list[Sequence[P]] = [points] if points else []
        while open_parts:
            part = open_parts.pop()
            error = self._until_answered(part)
            if error is None:
                continue
            if len(part) == 1:
                refused.append((part[0], Refusal(error.reason, error.detail)))
            else:
                half = len(part) // 2
                open_parts += [part[half:], part[:half]]
        return refused

    def _until_answered(self, part: Sequence[P]) -> WriteError | None:
        """Write until it is taken (None) or refused for the points' sake."""
        body = "\n".join(point.line for point in part)
        failures = 0
        while True:
            try:
                self._post(body)
            except WriteError as error:
                self._on_failure(error)
                if error.reason.is_the_points:
                    return error
                failures += 1
                delay = max(self._backoff.delay_s(failures, self._random), min(error.retry_after_s, 300.0))
                if not self._wait(delay):
                    raise Stopped from error
            else:
                self._on_success(len(part))
                return None
