"""Recorded files as a gateway's packs."""

from pathlib import Path

import numpy as np
import pytest

from simulators.replay import RecordingError, days_to_shift, read_recording, recording_table, replay_packs

CELL = 900_000


def write(folder: Path, text: str, name: str = "machine.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_times_are_utc_and_sorted_and_empty_fields_are_no_readings(tmp_path: Path) -> None:
    path = write(tmp_path, "timestamp,a,b\n1970-01-02 00:00:00,2,\n1970-01-01T01:00:00+01:00,1,5e1\n\n")
    recording = read_recording(path)
    assert recording.columns == ("a", "b")
    assert recording.times.tolist() == [0, 86_400_000]
    assert recording.readings == 3
    np.testing.assert_array_equal(recording.values, [[1, 50], [2, np.nan]])


def test_semicolons_and_a_choice_of_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "datetime;x;label;y\n2020-03-09 10:14:33;1,;bad;2\n".replace("1,", "1"))
    assert read_recording(path, ["y", "x"]).values.tolist() == [[2.0, 1.0]]
    with pytest.raises(RecordingError, match=r":1: no column z; there are x, label, y"):
        read_recording(path, ["z"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: needs a header"),
        ("timestamp\n", ":1: needs a header"),
        ("timestamp,v\n", ": no readings"),
        ("timestamp,v\n2020-01-01 00:00:00,1\nyesterday,2\n", ":3: time 'yesterday' is not ISO 8601"),
        ("timestamp,v\n2020-01-01 00:00:00,many\n", ":2: v 'many' is not a number"),
        ("timestamp,v\n2020-01-01 00:00:00,nan\n", ":2: v 'nan' is not finite"),
        ("timestamp,v\n2020-01-01 00:00:00,1,2\n", ":2: 3 fields, the header has 2"),
    ],
)
def test_an_error_names_file_line_and_reason(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecordingError, match=r"machine\.csv") as caught:
        read_recording(write(tmp_path, text))
    assert message in str(caught.value)


def test_all_errors_are_told_up_to_ten(tmp_path: Path) -> None:
    with pytest.raises(RecordingError) as caught:
        read_recording(write(tmp_path, "t,v\n" + "x,1\n" * 13))
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and 3 more"


def test_binary_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_bytes(b"t,v\n\xff\xfe\n")
    with pytest.raises(RecordingError, match="not UTF-8"):
        read_recording(path)
    with pytest.raises(RecordingError, match="No such file"):
        read_recording(tmp_path / "none.csv")


def test_a_pack_a_cell_shifted_by_whole_days(tmp_path: Path) -> None:
    rows = "".join(f"1970-01-01 00:{minute:02d}:00,{minute}\n" for minute in (0, 5, 14, 15, 16, 50))
    one = read_recording(write(tmp_path, "timestamp,value\n" + rows))
    two = read_recording(write(tmp_path, "timestamp,p,q\n1970-01-01 00:20:00,7,8\n", "pump.csv"))
    table = recording_table([one, two], ["machine", "pump"], "Cel", "temperature")
    assert [(series.device, series.quantity) for series in table.series] == [
        ("machine", "temperature"), ("pump", "p"), ("pump", "q"),
    ]  # fmt: skip
    day = 86_400_000
    packs = list(replay_packs([one, two], table, grid_ms=CELL, shift_ms=3 * day))
    assert [(dated.due_ms - 3 * day, dated.draft.values) for dated in packs] == [
        (CELL, [0.0, 5.0, 14.0]),
        (2 * CELL, [15.0, 16.0]),
        (2 * CELL, [7.0, 8.0]),
        (4 * CELL, [50.0]),
    ]
    assert packs[2].draft.series == [1, 2]
    assert packs[0].draft.base_ms == 3 * day


def test_two_recordings_of_one_name_are_refused(tmp_path: Path) -> None:
    one = read_recording(write(tmp_path, "t,value\n2020-01-01,1\n"))
    with pytest.raises(RecordingError, match="same device"):
        recording_table([one, one], ["a", "a"])


def test_days_to_shift_keeps_the_last_reading_before_the_limit() -> None:
    day = 86_400_000
    assert days_to_shift(5, 10 * day + 4) == 9
    assert days_to_shift(5, 10 * day + 5) == 10
