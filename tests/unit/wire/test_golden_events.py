"""Every version of every event that was ever written can still be read."""

from pathlib import Path

import msgspec
import pytest

from connectors.wire import versions
from connectors.wire.record import Heartbeat, Readings, decode_record, encode_record
from deploy.wiredocs import EVENTS
from tests.support.samples import SAMPLES

GOLDEN = Path(__file__).parents[2] / "golden" / "events"
BY_NAME = {event.__name__: event for event in EVENTS}
FILES = sorted(GOLDEN.iterdir())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_golden_file_decodes_to_the_sample(path: Path) -> None:
    event = BY_NAME[path.name.split(".")[0]]
    read = versions.from_json if path.suffix == ".json" else versions.from_msgpack
    assert read(event, path.read_bytes()) == SAMPLES[event]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_todays_bytes_are_the_golden_ones(event: type[msgspec.Struct]) -> None:
    stem = f"{event.__name__}.v{event.VERSION}"  # type: ignore[attr-defined]
    assert versions.to_json(SAMPLES[event]) == (GOLDEN / f"{stem}.json").read_bytes()
    assert versions.to_msgpack(SAMPLES[event]) == (GOLDEN / f"{stem}.msgpack").read_bytes()


@pytest.mark.parametrize("event", [Readings, Heartbeat])
def test_readings_topic_decodes_both_kinds(event: type) -> None:
    assert decode_record(encode_record(SAMPLES[event])) == SAMPLES[event]  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b'{"v":1}', b"\x82\xa1t\xa1r\xa1v\x01"])
def test_garbage_on_the_readings_topic_is_malformed(data: bytes) -> None:
    with pytest.raises(versions.WireError) as caught:
        decode_record(data)
    assert caught.value.reason == "malformed"


def test_record_of_a_later_version_is_refused() -> None:
    data = versions.to_msgpack(msgspec.structs.replace(SAMPLES[Heartbeat], v=2))
    with pytest.raises(versions.WireError) as caught:
        decode_record(data)
    assert caught.value.reason == "unknown-version"
