"""Mappings over any JSON: the refusal is the only exception, and the same message always means the same."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.mapping.discover.discovery import discover
from connectors.mapping.discover.heard import Heard
from connectors.mapping.discover.preview import preview
from connectors.mapping.load import MappingError, parse_mappings
from connectors.mapping.refusal import Refusal
from connectors.mqtt.check import YEAR_2000_MS
from connectors.mqtt.intake import Intake
from connectors.wire.mapped import mapped_seq
from connectors.wire.topics import DEAD_LETTERS
from tests.support.bridge import Bench

KEYS = st.sampled_from(
    ["ts", "t", "v", "n", "u", "rows", "a", "b", "bn", "bt", "bu", "bv", "bver", "d", "", "{x}", "ts"]
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(10**12, 2 * 10**12)
SCALARS = (
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | st.sampled_from(["1.5", "2024-03-05T10:00:00", "Z"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)
EXPRESSIONS = st.sampled_from(
    """v|t|@|a.b|rows[0].v|rows[*].v[0]|sum(rows)|max(rows)|length(@)|to_number(v)|rows[?v > `1`].v
    sort_by(rows, &v)[0].v|keys(@)[0]|not_null(v, t)|avg(@)|abs(v)|!v|join(',', rows)|values(@)[0]|merge(@, a)
    v && t|to_string(@)|reverse(v)|ceil(v)|sort(rows)|min_by(rows, &v)|contains(v, t)|map(&v, rows)|type(@)""".replace(
        "\n", "|"
    ).split("|")
)
FORMS = st.sampled_from(["iso8601", "epoch_s", "epoch_ms"])


@st.composite
def mappings(draw):
    """A mapping file that can be used."""
    one = {
        "name": "m",
        "topic": "x/{d}",
        "device": draw(st.sampled_from(["{d}", "fixed", "{=n}", "{=d}-{d}"])),
        "format": draw(st.sampled_from(["json", "senml", "text"])),
        "each": draw(st.sampled_from(["", "@", "rows", "a", "rows[].a"])),
        "otherwise": draw(st.sampled_from(["dead-letter", "ignore"])),
        "readings": [
            {
                "value": draw(EXPRESSIONS),
                "quantity": draw(st.sampled_from(["q", "{=n}", "{=u}", "{d}"])),
                "unit": draw(st.sampled_from(["", "Cel", "{=u}"])),
                "scale": draw(st.sampled_from([1.0, 0.1, 1e300])),
                "values": {"Z": 3.0},
            }
            for _ in range(draw(st.integers(1, 3)))
        ],
    }
    if draw(st.booleans()):
        zone = draw(st.sampled_from(["", "UTC", "+01:00", "Europe/Berlin"]))
        one["time"] = {
            "at": draw(st.sampled_from(["ts", "t", "rows[0].t", "@", "v"])),
            "form": draw(FORMS),
            "zone": zone,
        }
    return msgspec.json.encode({"site": "s", "gateway": "g", "mappings": [one]}).decode()


PAYLOADS = JSON.map(msgspec.json.encode) | st.binary(max_size=40) | st.text(max_size=10).map(str.encode)
DEVICES = st.sampled_from(["oven", "", "é", "x" * 300])


@settings(max_examples=150, deadline=None)
@given(mappings(), PAYLOADS, DEVICES)
def test_any_payload_is_readings_or_a_refusal_and_always_the_same(file, payload, device):
    outcomes = []
    for _ in range(2):
        match = parse_mappings(file).match(f"x/{device}")
        assert match is not None
        try:
            mapped = match.apply(payload)
            outcomes.append([mapped.readings, [(bad.place, str(bad.refusal)) for bad in mapped.bad]])
        except Refusal as refusal:
            outcomes.append(str(refusal))
    assert outcomes[0] == outcomes[1]


@settings(max_examples=80, deadline=None)
@given(mappings(), st.lists(st.tuples(PAYLOADS, DEVICES), min_size=1, max_size=4))
def test_the_bridge_acknowledges_every_message_and_loses_no_byte(file, messages):
    bench = Bench(tables=(), intake=Intake(parse_mappings(file)))
    mids = [bench.take(payload, f"x/{device}") for payload, device in messages]
    bench.pass_time()
    parts = [(record.cell_ms, part) for record in bench.records() for part in record.parts]
    letters = [letter for letter in bench.letters()]
    for cell, part in parts:
        assert len(part.values) == 8 and 0 < part.seq < 2**48 and YEAR_2000_MS - 10_000 < cell
        table = bench.core.tables.get(part.table)
        assert table is not None and int.from_bytes(part.series, "little") < len(table.series)
    payloads = {payload for payload, _ in messages}
    assert all(letter.payload in payloads for letter in letters)
    assert not any(letter.detail.startswith("unexpected") for letter in letters), [letter.detail for letter in letters]
    bench.deliver()
    bench.deliver(DEAD_LETTERS)
    assert bench.pubacks == mids


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=60) | JSON.map(msgspec.json.encode).map(bytes.decode))
def test_any_text_is_mappings_or_a_mapping_error(text):
    try:
        parse_mappings(text)
    except MappingError as error:
        assert error.problems


READING = st.tuples(
    st.text(max_size=3), st.text(max_size=3), st.integers(0, 2**42), st.floats(allow_nan=False, allow_infinity=False)
)


@given(st.lists(READING, unique=True, max_size=30))
def test_different_readings_have_different_numbers(readings):
    distinct = {(device, quantity, time_ms, value + 0.0) for device, quantity, time_ms, value in readings}
    assert len({mapped_seq(*reading) for reading in readings}) == len(distinct)


TOPICS = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "temperature",
            "data",
            "status",
            "events",
            "rpc",
            "tele",
            "SENSOR",
            "{x}",
            "",
            "+",
            " ",
            "tidemark",
            "v1",
        ]
    ),
    min_size=1,
    max_size=4,
).map("/".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TOPICS, PAYLOADS), min_size=1, max_size=8))
def test_whatever_is_heard_discover_proposes_what_can_be_used_or_says_why_not(messages):
    made = Heard()
    for topic, payload in messages:
        made.add(topic, payload, 1_709_645_412_000)
    found = discover(made, "s")
    assert bool(found.text) == bool(found.proposals)
    accounted = {topic.topic for one in found.proposals for topic in one.group.topics} | {
        one.topic for one in found.unmapped
    }
    own = {one.topic for one in made.topics() if one.topic.startswith("tidemark/v1/")}
    assert {one.topic for one in made.topics()} - own == accounted - {"tidemark/v1/#"}
    if found.text:
        assert preview(made, parse_mappings(found.text)).readings, found.text
