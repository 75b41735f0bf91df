"""`tidemark deadletters`, `late` and `tail` against a broker inside librdkafka."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import KafkaError

from connectors.kit.settings import KafkaSettings
from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.pack import Pack
from connectors.wire.topics import ALERT_EVENTS, DEAD_LETTERS, LATE_READINGS, SERIES_TABLES
from connectors.wire.versions import to_json, to_msgpack
from deploy.command import main as command
from deploy.records.filters import Filters
from deploy.records.read import Reader
from tests.support.mock_kafka import MockKafka, mock_kafka
from tests.support.samples import SAMPLES, TABLE

Run = Callable[..., tuple[int, str, str]]
PAYLOAD = to_json(SAMPLES[Pack])


@pytest.fixture(scope="module")
def kafka() -> Iterator[MockKafka]:
    """Five letters of two gateways, two late records, one alert."""
    with mock_kafka() as broker:
        for number in range(5):
            letter = msgspec.structs.replace(
                SAMPLES[DeadLetter],
                gateway=f"gw-{number % 2}",
                reason="bad-time" if number == 3 else "bad-value",
                source=f"tidemark/v1/plant-1/gw-{number % 2}/packs",
                payload=PAYLOAD,
                detail=f"letter {number}",
            )
            broker.put(DEAD_LETTERS, to_msgpack(letter), partition=number % 3, stamp_ms=1_000 + number)
        for number in range(2):
            broker.put(LATE_READINGS, to_msgpack(SAMPLES[LateReadings]), partition=number, stamp_ms=1_000 + number)
        broker.put(ALERT_EVENTS, to_json(SAMPLES[AlertEvent]), key=b"alert")
        broker.put(SERIES_TABLES, to_json(TABLE), key=TABLE.id.encode())
        yield broker


@pytest.fixture
def run(kafka: MockKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEMARK_SETTINGS", raising=False)
    monkeypatch.setenv("TIDEMARK_KAFKA__BOOTSTRAP", kafka.bootstrap)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tidemark", *arguments])
        with pytest.raises(SystemExit) as ended:
            command.main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return call


def details(out: str) -> list[str]:
    return [json.loads(line)["detail"] for line in out.splitlines()]


def test_letters_come_newest_first_and_the_rest_is_mentioned(run: Run) -> None:
    code, out, err = run("deadletters", "list", "--json", "--limit", "3")
    assert (code, details(out)) == (0, ["letter 4", "letter 3", "letter 2"])
    assert "--limit 0 shows all" in err
    code, out, err = run("deadletters", "list", "--json", "--limit", "0")
    assert len(details(out)) == 5
    assert err == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--gateway", "gw-1"), ["letter 3", "letter 1"]),
        (("--reason", "bad-time"), ["letter 3"]),
        (("--reason", "bad-time", "--gateway", "gw-0"), []),
        (("--series", "press-3/temperature", "--site", "plant-*", "--gateway", "gw-1"), ["letter 3", "letter 1"]),
        (("--series", "press-3/humidity"), []),
        (("--service", "job"), []),
        (("--until", "1970-01-01T00:00:01.002"), ["letter 1", "letter 0"]),
    ],
)
def test_letters_are_chosen(run: Run, options: tuple[str, ...], expected: list[str]) -> None:
    code, out, _ = run("deadletters", "list", "--json", *options)
    assert (code, details(out)) == (0, expected)


def test_letters_as_csv_and_text(run: Run) -> None:
    _, out, _ = run("deadletters", "list", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["detail"] for row in rows] == [f"letter {number}" for number in (4, 3, 2, 1, 0)]
    assert rows[0]["indexes"] == "[2]"
    _, out, _ = run("deadletters", "list")
    assert out.splitlines()[0].startswith("dead-letters-1-1 ")


def test_a_letter_is_shown_by_its_id(run: Run) -> None:
    _, out, _ = run("deadletters", "list", "--json", "--reason", "bad-time")
    known = json.loads(out)["id"]
    code, out, _ = run("deadletters", "show", known)
    assert code == 0
    assert "letter 3" in out
    assert "7b 22 76 22" in out
    code, out, _ = run("deadletters", "show", known, "--json")
    assert json.loads(out)["payload"] == PAYLOAD.decode()
    assert json.loads(out)["series"] == ["press-3/temperature"], "looked up in the series tables"


@pytest.mark.parametrize(
    ("letter", "code", "words"),
    [
        ("dead-letters-0-99", 1, "holds offsets 0 to 1 now"),
        ("dead-letters-77-0", 1, "only 0 to 3"),
        ("dead-letters-3-0", 1, "holds nothing now"),
        ("letter", 2, "is no id"),
        ("late-readings-0-0", 2, "is no dead letter"),
    ],
)
def test_a_letter_that_is_not_there_is_said(run: Run, letter: str, code: int, words: str) -> None:
    found, out, err = run("deadletters", "show", letter)
    assert (found, out) == (code, "")
    assert words in " ".join(err.replace("│", " ").split())


def test_letters_are_exported_by_filter_and_by_id(run: Run, tmp_path: Path) -> None:
    code, out, err = run("deadletters", "export", "mend/here", "--gateway", "gw-1", "--json")
    assert code == 0
    assert {json.loads(line)["mqtt_topic"] for line in out.splitlines()} == {"tidemark/v1/plant-1/gw-1/packs"}
    assert "2 letters in mend/here" in err
    files = sorted(path.name for path in (tmp_path / "mend/here").iterdir())
    assert files == [f"dead-letters-{at}.{end}" for at in ("0-1", "1-0") for end in ("about.json", "json")]
    assert (tmp_path / "mend/here/dead-letters-0-1.json").read_bytes() == PAYLOAD
    code, out, _ = run("deadletters", "export", "one", "dead-letters-2-0")
    assert (code, out.split()) == (0, ["written", "one/dead-letters-2-0.json"])
    assert run("deadletters", "export", "one", "dead-letters-2-0", "--gateway", "gw-1")[0] == 2


def test_an_export_that_cannot_be_written_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = run("deadletters", "export", "file/below")
    assert code == 1
    assert "can't be written" in err


def test_late_readings_are_listed(run: Run) -> None:
    code, out, _ = run("late", "list", "--json")
    assert (code, [json.loads(line)["id"] for line in out.splitlines()]) == (
        0,
        ["late-readings-1-0", "late-readings-0-0"],
    )
    _, out, _ = run("late", "list", "--readings", "--csv", "--series", "*/humidity", "--limit", "1")
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["value"], row["quality"], row["time"]) == ("40.25", "1", "2023-11-14T22:13:24.000Z")


def test_tail_filters_any_topic(run: Run) -> None:
    _, out, _ = run("tail", "alert-events", "--from-beginning", "--no-follow", "--json", "--series", "*/temperature")
    assert json.loads(out)["value"]["rule_id"] == "drift"
    assert run("tail", "alert-events", "--from-beginning", "--no-follow", "--gateway", "gw-8")[1] == ""
    _, out, _ = run("tail", "dead-letters", "--until", "1d", "--csv", "--reason", "bad-time")
    assert [row["id"] for row in csv.DictReader(io.StringIO(out))] == ["dead-letters-0-1"]
    _, out, _ = run("tail", "dead-letters", "--from-beginning", "--limit", "2")
    assert len(out.splitlines()) == 4
    assert run("tail", "dead-letters", "--no-follow")[:2] == (0, ""), "from now on, and no further"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tail", "rules", "--reason", "bad-time"), "only records of dead-letters"),
        (("tail", "rules", "--json", "--csv"), "exclude each other"),
        (("deadletters", "list", "--reason", "bad"), "no letter has the reason bad"),
        (("late", "list", "--since", "soon"), "is no time"),
        (("late", "list", "--since", "1h", "--until", "2h"), "must be before"),
        (("late", "list", "--limit", "-1"), "or equal to 0"),
    ],
)
def test_wrong_usage_is_said(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert words in " ".join(err.replace("│", " ").split())


def test_a_kafka_that_is_not_there_ends_with_three(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_KAFKA__BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setattr("deploy.records.read.ANSWER_S", 0.2)
    code, _, err = run("deadletters", "list")
    assert code == 3
    assert "does not answer" in err


class Scripted:
    """A consumer that gives the records of these offsets, and then the partition's end."""

    def __init__(self, offsets: list[int]) -> None:
        self.offsets = offsets

    def assign(self, places: list[object]) -> None:
        pass

    def poll(self, timeout: float) -> "Given":
        return Given(self.offsets.pop(0)) if self.offsets else Given(-1)


class Given:
    def __init__(self, at: int) -> None:
        self.at = at

    def error(self) -> object:
        end = type("End", (), {"code": lambda _: KafkaError._PARTITION_EOF})
        return end() if self.at < 0 else None

    def offset(self) -> int:
        return self.at

    def topic(self) -> str:
        return DEAD_LETTERS

    def partition(self) -> int:
        return 0

    def timestamp(self) -> tuple[int, int]:
        return (1, 5)

    def value(self) -> bytes:
        return b""

    key = value

    def headers(self) -> None:
        return None


@pytest.mark.parametrize(
    ("there", "expected"),
    [([0, 1, 2, 3], [0, 1, 2]), ([0, 1, 3, 4], [0, 1]), ([0, 1, 5], [0, 1]), ([0], [0]), ([3], []), ([], [])],
)
def test_a_block_ends_where_it_should_though_offsets_have_gaps(
    kafka: MockKafka, monkeypatch: pytest.MonkeyPatch, there: list[int], expected: list[int]
) -> None:
    with Reader(KafkaSettings(bootstrap=kafka.bootstrap)) as reader, monkeypatch.context() as patch:
        patch.setattr(reader, "_consumer", Scripted(there))
        assert [record.place.offset for record in reader.block(DEAD_LETTERS, 0, 0, 3)] == expected


class Timed:
    """Answers for a consumer whose topic has two partitions, of which one is older than asked."""

    def list_topics(self, topic: str, timeout: float) -> object:
        found = type("Found", (), {"error": None, "partitions": {0: None, 1: None}})
        return type("Topics", (), {"topics": {topic: found}})

    def get_watermark_offsets(self, place: object, timeout: float) -> tuple[int, int]:
        return (2, 10)

    def offsets_for_times(self, places: list[object], timeout: float) -> list[object]:
        assert [place.offset for place in places] == [500, 500]  # type: ignore[attr-defined]
        places[0].offset, places[1].offset = 7, -1  # type: ignore[attr-defined]
        return places


def test_since_begins_at_the_first_record_that_can_be_of_that_time(
    kafka: MockKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Reader(KafkaSettings(bootstrap=kafka.bootstrap)) as reader:
        monkeypatch.setattr(reader, "_consumer", Timed())
        assert reader.spans(DEAD_LETTERS, 500) == {0: (7, 10), 1: (10, 10)}
        assert Filters(since_ms=500).has_times
        monkeypatch.undo()
