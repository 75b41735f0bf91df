"""Alert events and windows as points."""

import math

import msgspec
import numpy as np
import pytest

from connectors.influxdb.names import NameBook
from connectors.influxdb.points import alert_line, window_rows
from connectors.wire.alert import AlertEvent
from connectors.wire.series import Series, SeriesTable, series_table
from connectors.wire.summary import Group, WindowSummary
from connectors.wire.versions import WireError

TABLE = series_table((Series("press-3", "temperature", "Cel"), Series("press 4", "humidity", "%RH")))
EVENT = AlertEvent(
    event_id="e1",
    alert_id="a1",
    transition="raised",
    severity="high",
    site="plant-1",
    gateway="gw-7",
    device="press-3",
    quantity="temperature",
    unit="Cel",
    rule_id="drift",
    detector="cusum",
    raised_ms=1_000,
    window_start_ms=1_000,
    window_end_ms=2_000,
    score=2.5,
    limit=1.0,
    detail='it is "high"',
)


def summary(rows: int = 2, groups: list[Group] | None = None, **columns: list[float]) -> WindowSummary:
    def column(name: str, kind: str, default: float) -> bytes:
        return np.array(columns.get(name, [default] * rows)).astype(kind).tobytes()

    return WindowSummary(
        shard=0,
        start_ms=5_000,
        end_ms=6_000,
        observed=True,
        readings=3,
        duplicates=0,
        rule_version=1,
        first_offset=0,
        last_offset=1,
        groups=[Group("plant-1", "gw-7", TABLE.id, rows)] if groups is None else groups,
        series=column("series", "<u4", 0) if "series" in columns else np.arange(rows, dtype="<u4").tobytes(),
        count=column("count", "<u4", 3),
        **{name: column(name, "<f8", 1.5) for name in ("first", "last", "minimum", "maximum", "mean", "spread")},
        score=column("score", "<f4", 0.25),
        learning=column("learning", "u1", 0),
        judged=[],
    )


def lookup(*globs: str):
    return NameBook(globs or ("*",), {TABLE.id: TABLE}.get).lookup


def test_an_alert_is_one_line_with_its_ids_as_fields() -> None:
    assert alert_line(EVENT) == (
        "alerts,site=plant-1,gateway=gw-7,device=press-3,quantity=temperature,rule=drift,severity=high,"
        "transition=raised "
        'event_id="e1",alert_id="a1",detector="cusum",unit="Cel",detail="it is \\"high\\"",score=2.5,limit=1.0,'
        "raised_ms=1000i,rule_version=1i 2000542322"
    )


def test_a_system_alert_has_no_empty_tags() -> None:
    event = msgspec.structs.replace(EVENT, site="", gateway="", device="", quantity="", score=None, limit=None)
    assert alert_line(event).startswith("alerts,rule=drift,severity=high,transition=raised event_id=")
    assert ",score=" not in alert_line(event)


def test_two_events_of_one_window_are_two_points() -> None:
    other = msgspec.structs.replace(EVENT, event_id="e2")
    assert alert_line(EVENT).rsplit(" ", 1)[1] != alert_line(other).rsplit(" ", 1)[1]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_an_alert_that_is_not_finite_is_refused(number: float) -> None:
    with pytest.raises(WireError, match="bad-value"):
        alert_line(msgspec.structs.replace(EVENT, value=number))


def test_a_window_is_a_point_a_series() -> None:
    rows, bad = window_rows(summary(), lookup())
    assert not bad
    assert rows[0].line == (
        "windows,site=plant-1,gateway=gw-7,device=press-3,quantity=temperature count=3i,learning=0i,first=1.5,last=1.5,"
        "min=1.5,max=1.5,mean=1.5,spread=1.5,score=0.25 5000000000"
    )
    assert "device=press\\ 4," in rows[1].line


def test_what_there_is_none_of_is_left_out() -> None:
    rows, bad = window_rows(summary(score=[math.nan, 0.5], mean=[1.0, math.nan], learning=[7, 0]), lookup())
    assert not bad
    assert rows[0].line.split(" ")[1] == ("count=3i,learning=7i,first=1.5,last=1.5,min=1.5,max=1.5,mean=1.0,spread=1.5")
    assert "mean=" not in rows[1].line
    assert "score=0.5" in rows[1].line


def test_only_selected_series_are_written() -> None:
    rows, bad = window_rows(summary(), lookup("plant-*/*/press-3/*"))
    assert [row.row for row in rows] == [0]
    assert not bad
    assert window_rows(summary(), lookup("other/*"))[0] == []


def test_no_globs_select_nothing() -> None:
    assert window_rows(summary(), NameBook((), {TABLE.id: TABLE}.get).lookup) == ([], [])


def test_a_bad_row_costs_no_other() -> None:
    rows, bad = window_rows(summary(rows=4, series=[0, 1, 9, 0], maximum=[1, math.inf, 1, 1]), lookup())
    assert [row.row for row in rows] == [0, 3]
    assert {(each.row, each.reason) for each in bad} == {(1, "bad-value"), (2, "unknown-series")}


def test_an_unknown_table_costs_its_group_alone() -> None:
    groups = [Group("plant-1", "gw-8", "f" * 16, 1), Group("plant-1", "gw-7", TABLE.id, 1)]
    rows, bad = window_rows(summary(groups=groups), lookup())
    assert [(each.row, each.reason, each.gateway) for each in bad] == [(0, "unknown-table", "gw-8")]
    assert [(row.row, row.gateway) for row in rows] == [(1, "gw-7")]


@pytest.mark.parametrize(
    "broken",
    [
        {"count": b"\0" * 4},
        {"mean": b"\0" * 15},
        {"groups": []},
        {"groups": [Group("s", "g", TABLE.id, 3), Group("s", "g", TABLE.id, -1)]},
    ],
)
def test_columns_that_differ_are_refused_whole(broken: dict[str, object]) -> None:
    with pytest.raises(WireError, match="columns-differ"):
        window_rows(msgspec.structs.replace(summary(), **broken), lookup())


def test_a_group_without_rows_needs_no_table() -> None:
    def never(table_id: str) -> SeriesTable | None:
        raise AssertionError(table_id)

    assert window_rows(summary(rows=0, groups=[Group("s", "g", "0" * 16, 0)]), NameBook("*", never).lookup) == ([], [])
