"""The generated schemas and the AsyncAPI document are those in `docs/`, and valid."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from connectors.wire import versions
from connectors.wire.topics import KAFKA_TOPICS
from deploy.wiredocs import EVENTS, KAFKA_CHANNELS, asyncapi, documents, json_schemas
from tests.support.samples import SAMPLES

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("path", sorted(documents()))
def test_generated_file_is_current(path: str) -> None:
    assert (ROOT / "docs" / path).read_text() == documents()[path], "run: python -m deploy.wiredocs"


def test_asyncapi_document_is_valid_by_the_official_schema() -> None:
    schema = json.loads((ROOT / "tests/support/schemas/asyncapi-3.0.0.json").read_text())
    jsonschema.Draft7Validator(schema).validate(asyncapi())


def test_asyncapi_document_names_every_kafka_topic() -> None:
    assert {topic.name for topic in KAFKA_TOPICS} == set(KAFKA_CHANNELS)
    assert {topic.name for topic in KAFKA_TOPICS} <= set(asyncapi()["channels"])


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_sample_is_valid_by_its_schema(event: type[msgspec.Struct]) -> None:
    schema = json_schemas()[event.__name__]
    jsonschema.Draft202012Validator(schema).validate(json.loads(versions.to_json(SAMPLES[event])))


def test_schema_refuses_a_pack_without_its_boot() -> None:
    body = json.loads(versions.to_json(SAMPLES[EVENTS[0]]))
    del body["boot"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json_schemas()["Pack"]).validate(body)
