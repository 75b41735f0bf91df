"""Splitting at the grid: joining gives back the pack, the same pack is split the same way, order doesn't matter."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from connectors.mqtt.check import check
from connectors.mqtt.split import Origin, split
from tests.support.bridge import NOW_MS, pack

GRIDS = st.sampled_from([100, 1_000, 10_000, 900_000])
READINGS = st.lists(
    st.tuples(
        st.one_of(st.integers(-(10**6), 10**5), st.none(), st.integers(10**6, 10**14), st.floats()),
        st.integers(-1, 3),
        st.one_of(st.floats(), st.none()),
        st.integers(-1, 3),
    ),
    min_size=1,
    max_size=40,
)


def pieces(readings, grid_ms):
    offsets, series, values, quality = (list(column) for column in zip(*readings, strict=True))
    one = pack(readings=len(readings), offsets_ms=offsets, series=series, values=values, quality=quality)
    checked = check(one, 2, NOW_MS, 300_000)
    return checked, split(Origin("s", "gw", NOW_MS), one, checked, grid_ms)


def joined(found):
    """Return {place: (time, series, value, quality)} of all pieces."""
    out = {}
    for piece in found:
        part = piece.part
        count = len(part.values) // 8
        index = np.frombuffer(part.index, "<u4") if part.index else np.arange(count)
        quality = np.frombuffer(part.quality, "u1") if part.quality else np.zeros(count, "u1")
        columns = (
            np.frombuffer(part.offsets, "<u4"),
            np.frombuffer(part.series, "<u4"),
            np.frombuffer(part.values, "<f8"),
        )
        for place, offset, series, value, grade in zip(index, *columns, quality, strict=True):
            assert int(place) not in out
            out[int(place)] = (piece.cell_ms + int(offset), int(series), float(value), int(grade))
    return out


def expected(readings):
    """Say in plain Python which readings are good."""
    out = {}
    for place, (offset, series, value, quality) in enumerate(readings):
        if offset is None or value is None or not np.isfinite(offset) or not np.isfinite(value):
            continue
        time = np.floor(float(NOW_MS) + float(offset))
        if 946_684_800_000 <= time <= NOW_MS + 300_000 and 0 <= series < 2 and quality in (0, 1, 2):
            out[place] = (int(time), series, value, quality)
    return out


@given(READINGS, GRIDS)
def test_joining_the_pieces_gives_back_every_good_reading_and_the_dead_are_the_others(readings, grid_ms):
    checked, found = pieces(readings, grid_ms)
    good = expected(readings)
    assert joined(found) == good
    dead = sorted(index for one in checked.dead for index in one.indexes)
    assert dead == [place for place in range(len(readings)) if place not in good]


@given(READINGS, GRIDS)
def test_each_piece_lies_in_one_cell_and_cells_come_in_order_once(readings, grid_ms):
    _, found = pieces(readings, grid_ms)
    cells = [piece.cell_ms for piece in found]
    assert cells == sorted(set(cells))
    for piece in found:
        offsets = np.frombuffer(piece.part.offsets, "<u4")
        assert piece.cell_ms % grid_ms == 0 and (offsets < grid_ms).all()
        assert piece.earliest_ms == piece.cell_ms + int(offsets.min())


@given(READINGS, GRIDS)
def test_the_same_pack_is_split_the_same_way(readings, grid_ms):
    assert pieces(readings, grid_ms)[1] == pieces(readings, grid_ms)[1]


@given(READINGS, GRIDS, st.randoms())
def test_the_order_of_readings_changes_places_alone(readings, grid_ms, random):
    places = list(range(len(readings)))
    random.shuffle(places)
    _, found = pieces([readings[place] for place in places], grid_ms)
    assert {places[new]: reading for new, reading in joined(found).items()} == expected(readings)
