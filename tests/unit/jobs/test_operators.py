import pytest

from jobs.operators import Node, operator_ids

PLAN = [
    Node(10, "KafkaSource-default_catalog.default_database.readings", ()),
    Node(11, "Calc[10]", (10,)),
    Node(12, "LocalWindowAggregate[11]", (11,)),
    Node(13, "Exchange[12]", (12,), virtual=True),
    Node(14, "GlobalWindowAggregate[13]", (13,)),
    Node(15, "Calc[14]", (14,)),
    Node(16, "Calc[15]", (10,)),
    Node(17, "Union", (15, 16), virtual=True),
    Node(19, "TableToDataStream", (17,)),
    Node(25, "judge", (19,)),
    Node(26, "DataStreamToTable", (25,)),
    Node(27, "Calc[22]", (26,)),
    Node(28, "alert_events[23]", (27,)),
    Node(29, "Calc[24]", (26,)),
    Node(30, "window_summaries[25]", (29,)),
]


def test_stateful_operators_are_named_for_what_they_are() -> None:
    ids = operator_ids(PLAN)
    named = [ids[number] for number in (10, 12, 14, 25, 28, 30)]
    assert named == ["readings", "window-local", "window", "judge", "alert-events", "window-summaries"]


def test_the_others_are_told_apart_by_their_neighbours() -> None:
    ids = operator_ids(PLAN)
    assert [ids[number] for number in (11, 15, 16, 26)] == [
        "calc:readings>window-local",
        "calc:window>judge",
        "calc:readings>judge",
        "data-stream-to-table:judge",
    ]


def test_virtual_transformations_have_none() -> None:
    assert not {13, 17} & operator_ids(PLAN).keys()


def test_ids_do_not_hang_on_numbers() -> None:
    moved = [
        Node(node.number + 5, node.name.replace("[", "[9"), tuple(n + 5 for n in node.inputs), node.virtual)
        for node in PLAN
    ]
    assert sorted(operator_ids(moved).values()) == sorted(operator_ids(PLAN).values())


def test_an_output_more_leaves_the_others_their_ids() -> None:
    more = [*PLAN, Node(31, "Calc[26]", (26,)), Node(32, "extra[27]", (31,))]
    assert {number: uid for number, uid in operator_ids(more).items() if number < 31} == operator_ids(PLAN)


def test_two_operators_with_one_id_are_an_error() -> None:
    with pytest.raises(ValueError, match="the same id"):
        operator_ids([*PLAN, Node(31, "judge", (19,))])
