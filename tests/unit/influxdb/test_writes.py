"""One bad point costs no other, and an outage costs nothing but time."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.influxdb.writes import Reason, Stopped, WriteError, Writer, reason_of
from connectors.kit.backoff import Backoff


@dataclass(frozen=True)
class Line:
    line: str


@dataclass
class FakeServer:
    """InfluxDB 1.8's manners: of a refused batch the good points are written, and it fails when told to."""

    bad: frozenset[str] = frozenset()
    failures: list[Reason] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    requests: int = 0
    waits: list[float] = field(default_factory=list)
    stops_after: int = 1_000

    def post(self, body: str) -> None:
        self.requests += 1
        if self.failures:
            raise WriteError(self.failures.pop(), "scripted", 7.0)
        lines = set(body.split("\n"))
        self.written |= lines - self.bad
        if lines & self.bad:
            raise WriteError(Reason.REJECTED, "partial write")

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return len(self.waits) < self.stops_after

    def writer(self) -> Writer:
        return Writer(
            post=self.post,
            wait=self.wait,
            backoff=Backoff(1.0, 30.0),
            random=lambda: 0.0,
            on_failure=lambda error: None,
            on_success=lambda points: None,
        )


@given(st.integers(1, 60), st.data())
@settings(max_examples=50)
def test_exactly_the_bad_points_are_refused(size: int, data: st.DataObject) -> None:
    points = [Line(f"p{at}") for at in range(size)]
    bad = data.draw(st.sets(st.sampled_from([point.line for point in points])))
    server = FakeServer(frozenset(bad))
    refused = server.writer().write(points)
    assert sorted(point.line for point, _ in refused) == sorted(bad)
    assert server.written == {point.line for point in points} - bad
    assert server.waits == []
    assert all(refusal.reason is Reason.REJECTED for _, refusal in refused)


def test_one_bad_point_of_many_costs_few_requests() -> None:
    server = FakeServer(frozenset({"p123"}))
    server.writer().write([Line(f"p{at}") for at in range(4096)])
    assert server.requests <= 2 * 12 + 1


def test_an_outage_is_waited_out() -> None:
    server = FakeServer(failures=[Reason.SERVER, Reason.TIMEOUT, Reason.UNREACHABLE])
    assert server.writer().write([Line("a"), Line("b")]) == []
    assert server.written == {"a", "b"}
    # The server's own wish is longer than the back-off here.
    assert server.waits == [7.0, 7.0, 7.0]


@pytest.mark.parametrize("reason", [Reason.UNAUTHORISED, Reason.NO_BUCKET, Reason.UNEXPECTED])
def test_what_an_operator_must_mend_condemns_no_point(reason: Reason) -> None:
    server = FakeServer(failures=[reason] * 3)
    assert server.writer().write([Line("a")]) == []
    assert server.written == {"a"}


def test_a_stop_ends_the_wait_and_nothing_counts_as_written() -> None:
    server = FakeServer(failures=[Reason.SERVER] * 50, stops_after=4)
    with pytest.raises(Stopped):
        server.writer().write([Line("a")])
    assert len(server.waits) == 4


def test_nothing_is_written_with_no_request() -> None:
    server = FakeServer()
    assert server.writer().write([]) == []
    assert server.requests == 0


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "rejected"),
        (401, "unauthorised"),
        (403, "unauthorised"),
        (404, "no-bucket"),
        (413, "too-large"),
        (422, "rejected"),
        (429, "throttled"),
        (500, "server"),
        (503, "server"),
        (302, "unexpected"),
        (0, "unexpected"),
    ],
)
def test_every_status_has_a_reason(status: int, reason: str) -> None:
    assert reason_of(status) == reason
