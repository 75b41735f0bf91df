"""One sample of each event; their bytes are kept in `tests/golden/events` for every version."""

from array import array

import msgspec

from connectors.wire.alert import AlertEvent, alert_id, event_id
from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.pack import Ack, Pack, Status
from connectors.wire.record import Heartbeat, Part, Readings
from connectors.wire.ruleset import Rule, RuleSet
from connectors.wire.series import Series, SeriesTable, series_table
from connectors.wire.summary import Group, Judged, WindowSummary

CELL_MS = 1_700_000_000_000
TABLE = series_table((Series("press-3", "temperature", "Cel"), Series("press-3", "humidity", "%RH")))
U4, F8, F4 = "I", "d", "f"


def column(code: str, *values: float) -> bytes:
    """Pack a column (little-endian, as all machines that run the tests are)."""
    return array(code, values).tobytes()


PART = Part(
    site="plant-1",
    gateway="gw-7",
    boot="b1",
    seq=42,
    received_ms=CELL_MS + 9_100,
    table=TABLE.id,
    offsets=column(U4, 0, 4_000, 8_000),
    series=column(U4, 0, 1, 0),
    values=column(F8, 21.5, 40.25, 21.75),
    quality=b"\x00\x01\x00",
)
ALERT = alert_id("gw-7", "press-3", "temperature", "drift", CELL_MS)

SAMPLES: dict[type[msgspec.Struct], msgspec.Struct] = {
    Pack: Pack(
        boot="b1",
        seq=42,
        table=TABLE.id,
        base_ms=CELL_MS,
        offsets_ms=[0, 4_000, 8_000],
        series=[0, 1, 0],
        values=[21.5, 40.25, 21.75],
        quality=[0, 1, 0],
    ),
    SeriesTable: TABLE,
    Status: Status(state="online", boot="b1", client="tidemark 0.1.0", since_ms=CELL_MS),
    Ack: Ack(boot="b1", seq=42),
    Readings: Readings(cell_ms=CELL_MS, parts=[PART], tables=[TABLE]),
    Heartbeat: Heartbeat(time_ms=CELL_MS, bridge="tidemark-bridge"),
    LateReadings: LateReadings(
        shard=3, cell_ms=CELL_MS, window_end_ms=CELL_MS + 10_000, offset=99, parts=[PART], tables=[TABLE], readings=3
    ),
    DeadLetter: DeadLetter(
        service="bridge",
        reason="bad-value",
        detail="value 2 is null",
        source="tidemark/v1/plant-1/gw-7/packs",
        received_ms=CELL_MS + 9_100,
        payload=b"\x00\xff",
        gateway="gw-7",
        boot="b1",
        seq=42,
        indexes=[2],
        readings=1,
    ),
    WindowSummary: WindowSummary(
        shard=3,
        start_ms=CELL_MS,
        end_ms=CELL_MS + 10_000,
        observed=True,
        readings=3,
        duplicates=0,
        rule_version=1,
        first_offset=90,
        last_offset=99,
        groups=[Group("plant-1", "gw-7", TABLE.id, 2)],
        series=column(U4, 0, 1),
        count=column(U4, 2, 1),
        first=column(F8, 21.5, 40.25),
        last=column(F8, 21.75, 40.25),
        minimum=column(F8, 21.5, 40.25),
        maximum=column(F8, 21.75, 40.25),
        mean=column(F8, 21.625, 40.25),
        spread=column(F8, 0.1767766952966369, 0.0),
        score=column(F4, 0.25, 0.5),
        learning=b"\x00\x3c",
        judged=[Judged("gw-7", "b1", [42, 42], 3)],
    ),
    AlertEvent: AlertEvent(
        event_id=event_id(ALERT, "raised", CELL_MS + 10_000),
        alert_id=ALERT,
        transition="raised",
        severity="medium",
        site="plant-1",
        gateway="gw-7",
        device="press-3",
        quantity="temperature",
        unit="Cel",
        rule_id="drift",
        rule_version=1,
        rule_hash="0123456789abcdef",
        detector="cusum",
        raised_ms=CELL_MS,
        window_start_ms=CELL_MS,
        window_end_ms=CELL_MS + 10_000,
        score=6.5,
        limit=5.0,
        value=21.625,
        shard=3,
        first_offset=90,
        last_offset=99,
        detail="drifts upwards",
    ),
    RuleSet: RuleSet(
        version=1,
        effective_from_ms=0,
        rules=(Rule(id="drift", detector="cusum", levels={"medium": 5.0}, parameters={"slack": 0.5}),),
    ),
}
