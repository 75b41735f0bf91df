"""Topic templates and the overlap of filters."""

import pytest

from connectors.mapping.topics import TemplateError, overlap, topic_template


@pytest.mark.parametrize(
    ("template", "topic", "named"),
    [
        ("tele/{device}/SENSOR", "tele/oven/SENSOR", {"device": "oven"}),
        ("tele/{device}/SENSOR", "tele/oven/STATE", None),
        ("tele/{device}/SENSOR", "tele/a/b/SENSOR", None),
        ("tele/{device}/SENSOR", "tele//SENSOR", {"device": ""}),
        ("{a}/+/{b}", "x/y/z", {"a": "x", "b": "z"}),
        ("plant/#", "plant/a/b", {}),
        ("plant/#", "plant", {}),
        ("plant/{line}/#", "plant/l1", {"line": "l1"}),
        ("plant/{line}/#", "plant", None),
        ("{a}/b", "$SYS/b", None),
        ("one", "one", {}),
    ],
)
def test_a_template_matches_as_mqtt_does_and_names_its_levels(template, topic, named):
    assert topic_template(template).match(topic) == named


def test_a_placeholder_is_a_wildcard_in_the_subscription():
    assert topic_template("a/{b}/c/+/#").filter == "a/+/c/+/#"


@pytest.mark.parametrize(
    "text",
    [
        *("", "a/#/b", "a/b#", "a/+b", "a/{b}c", "a/{b", "a/{}", "a/{1x}", "{a}/{a}", "x" * 401, "a\0b"),
        *("#", "+/#", "tidemark/v1/{site}/{gateway}/packs", "{a}/{b}/{c}/{d}/packs", "{a}/v1/#", "tidemark/#"),
    ],
)
def test_what_is_no_template_or_would_take_tidemarks_own_topics_is_refused(text):
    with pytest.raises(TemplateError):
        topic_template(text)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("+/b", "a/+", True),
        ("+/b", "a/c", False),
        ("a/+/c", "a/b/#", True),
        ("#", "anything", True),
        ("a/b", "a", False),
    ],
)
def test_overlap_is_whether_a_topic_matches_both(one, other, both):
    assert overlap(one, other) is both is overlap(other, one)
