"""Rows as text, JSON and CSV; letters with their bytes; letters as files."""

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest

from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.pack import Pack
from connectors.wire.topics import ALERT_EVENTS, DEAD_LETTERS, LATE_READINGS
from connectors.wire.versions import to_json, to_msgpack
from deploy.records import late
from deploy.records.export import export_letter
from deploy.records.filters import Filters
from deploy.records.hexdump import hexdump
from deploy.records.letters import COLUMNS, letter_object, letter_row, letter_text, open_letter, row_text
from deploy.records.output import csv_line, lines
from deploy.records.record import Place, Record, parse_id
from deploy.records.shown import shown as any_record
from deploy.records.shown import shown_text
from deploy.records.subjects import no_tables
from tests.support.samples import CELL_MS, SAMPLES

PLACE = Place(DEAD_LETTERS, 2, 17)


def record(value: bytes, place: Place = PLACE) -> Record:
    return Record(place, CELL_MS, value)


def sample(**changes: object) -> DeadLetter:
    letter = SAMPLES[DeadLetter]
    assert isinstance(letter, DeadLetter)
    return msgspec.structs.replace(letter, **changes)


def shown(letter: DeadLetter) -> tuple[Record, DeadLetter]:
    one = record(to_msgpack(letter))
    return one, open_letter(one)


def test_ids_read_back_as_the_place_they_name() -> None:
    for place in (PLACE, Place(LATE_READINGS, 0, 10**17)):
        assert parse_id(str(place)) == place
    for wrong in ("", "dead-letters-2", "dead-letters-2-x", "nothing-0-0", "dead-letters--1-5", "../../x-0-0"):
        with pytest.raises(ValueError, match=r"no id|no topic"):
            parse_id(wrong)


def test_a_letters_row_names_its_site_and_has_every_column() -> None:
    row = letter_row(*shown(sample()))
    assert tuple(row) == COLUMNS
    assert (row["id"], row["site"], row["gateway"], row["reason"]) == (
        "dead-letters-2-17",
        "plant-1",
        "gw-7",
        "bad-value",
    )
    assert "payload" not in row


def test_a_letter_that_cannot_be_read_is_a_letter_all_the_same() -> None:
    letter = open_letter(record(b"junk"))
    assert (letter.reason, letter.payload) == ("malformed", b"junk")
    newer = open_letter(record(msgspec.msgpack.encode({"v": 99})))
    assert newer.reason == "unknown-version"
    assert letter_row(record(b"junk"), letter)["source"] == "dead-letters-2-17"


HOSTILE = sample(
    source="tidemark/v1/plant-1/gw\x1b[2J\nforged/packs",
    detail="=cmd|' /C calc'!A0",
    gateway="@gw",
    payload=b"\x1b[2J\n",
)


def test_what_a_device_sent_drives_neither_terminal_nor_spreadsheet() -> None:
    one, letter = shown(HOSTILE)
    row = letter_row(one, letter)
    text = row_text(row) + letter_text(one, letter)
    assert "\x1b" not in text
    assert len(row_text(row).splitlines()) == 2
    (header, line) = lines([row], "csv", COLUMNS, row_text)
    (cells,) = csv.DictReader(io.StringIO(f"{header}\n{line}"))
    assert cells["detail"].startswith("'=cmd")
    assert cells["gateway"] == "'@gw"
    assert "\x1b" not in line
    assert "\n" not in line


def test_a_record_of_any_topic_drives_no_terminal() -> None:
    hostile = "\x1b[2J\x9b2J\nforged"
    event = msgspec.structs.replace(SAMPLES[AlertEvent], detail=hostile, device=hostile)
    one = Record(
        Place(ALERT_EVENTS, 0, 1), CELL_MS, to_json(event), hostile.encode(), (("ce_source", hostile.encode()),)
    )
    text = shown_text(any_record(one))
    assert len(text.splitlines()) == 2
    assert all(char.isprintable() for char in text.replace("\n", ""))


def test_json_lines_hold_what_was_sent_unchanged() -> None:
    (line,) = lines([letter_row(*shown(HOSTILE))], "json", COLUMNS, row_text)
    assert json.loads(line)["detail"] == HOSTILE.detail
    assert json.loads(line)["source"] == HOSTILE.source


def test_csv_has_its_header_without_any_row() -> None:
    assert list(lines([], "csv", ("a", "b"), str)) == ["a,b"]
    assert csv_line([True, 1.5, {"a": 1}, 'say "no"']) == 'True,1.5,"{""a"":1}","say ""no"""'


def test_one_letter_shows_its_bytes_and_what_they_say() -> None:
    one, letter = shown(sample(payload=to_json(SAMPLES[Pack])))
    text = letter_text(one, letter, lambda _: [("press-3", "temperature"), ("press-3", "humidity")])
    assert "7b 22 76 22" in text, "bytes"
    assert '"offsets_ms": [' in text, "decoded"
    assert "press-3/temperature" in text, "the series of the bad reading"
    assert "press-3/humidity" not in text, "a good reading's series"
    whole = letter_object(one, letter)
    assert whole["mqtt_topic"] == "tidemark/v1/plant-1/gw-7/packs"
    assert whole["payload"] == to_json(SAMPLES[Pack]).decode()
    assert letter_object(*shown(sample(payload=b"\xff\x00")))["payload"] == {"base64": "/wA="}


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 40])
def test_a_dump_holds_every_byte_once(size: int) -> None:
    data = bytes(range(size))
    dump = hexdump(data)
    assert bytes.fromhex("".join(line[10:58] for line in dump)) == data
    assert len({len(line.partition("|")[0]) for line in dump}) <= 1, "columns are aligned"
    assert hexdump(data, 10)[-1:] == ([f"… {size - 10} bytes more"] if size > 10 else hexdump(data)[-1:])


def test_export_writes_the_bytes_as_they_came_and_leaves_a_mended_file(tmp_path: Path) -> None:
    payload = b'{"v":1,\n "x" :  2}'
    one, letter = shown(sample(payload=payload))
    done = export_letter(tmp_path, one, letter)
    assert (done.outcome, done.file.name) == ("written", "dead-letters-2-17.json")
    assert done.file.read_bytes() == payload
    about = json.loads((tmp_path / "dead-letters-2-17.about.json").read_text())
    assert (about["mqtt_topic"], about["reason"]) == ("tidemark/v1/plant-1/gw-7/packs", "bad-value")
    assert export_letter(tmp_path, one, letter).outcome == "same"
    done.file.write_bytes(b"mended")
    assert export_letter(tmp_path, one, letter).outcome == "kept"
    assert done.file.read_bytes() == b"mended"
    assert export_letter(tmp_path, one, letter, overwrite=True).outcome == "written"
    assert done.file.read_bytes() == payload


def test_a_letter_without_bytes_makes_no_file(tmp_path: Path) -> None:
    done = export_letter(tmp_path, *shown(sample(payload=b"", source="tidemark.readings.v1/0/5-6")))
    assert (done.outcome, done.mqtt_topic) == ("empty", None)
    assert not done.file.exists()


LATE = record(to_msgpack(SAMPLES[LateReadings]), Place(LATE_READINGS, 1, 5))


def test_late_parts_say_how_far_behind_they_came() -> None:
    (part,) = late.late_parts(LATE, Filters(), no_tables)
    row = late.part_row(part)
    assert set(row) == set(late.COLUMNS)
    assert (row["id"], row["readings"], row["behind_ms"]) == ("late-readings-1-5", 3, -900)
    assert row["series"] == ["press-3/temperature", "press-3/humidity"]
    assert "gw-7  3 readings of 2023-11-14T22:13:20.000Z" in late.part_text(row)


def test_late_readings_are_shown_one_by_one_with_time_value_and_unit() -> None:
    filters = Filters(series=("*/temperature",))
    (part,) = late.late_parts(LATE, filters, no_tables)
    rows = list(late.reading_rows(part, filters))
    assert set(rows[0]) >= set(late.READING_COLUMNS)
    assert [(row["time"][-7:], row["value"], row["unit"], row["index"]) for row in rows] == [
        ("20.000Z", 21.5, "Cel", 0),
        ("28.000Z", 21.75, "Cel", 2),
    ]
    assert late.reading_text(rows[0]).startswith("2023-11-14T22:13:20.000Z  plant-1/gw-7/press-3/temperature  21.5 Cel")


def test_late_records_of_others_or_unreadable_ones_give_no_row() -> None:
    assert not list(late.late_parts(LATE, Filters(gateways=("gw-8",)), no_tables))
    assert not list(late.late_parts(record(b"junk", LATE.place), Filters(), no_tables))
