from pathlib import Path

import pytest

from jobs import sql
from jobs.options import Options

OPTIONS = Options(bootstrap="h:9092", window_ms=900_000, disorder_ms=259_200_000, shards=4)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(1, "0 00:00:00.001"), (90_061_001, "1 01:01:01.001"), (72 * 3_600_000, "3 00:00:00.000")],
)
def test_intervals(milliseconds: int, text: str) -> None:
    assert f"'{text}'" in sql.interval(milliseconds)


def test_the_window_and_the_late_rows_exclude_each_other_by_one_condition() -> None:
    late = sql.windows_query(OPTIONS).rpartition("FROM readings WHERE ")[2]
    assert sql.on_time_view(OPTIONS).endswith(f"WHERE NOT {late}")
    assert "/ 900000 + 1) * 900000 - 1" in late


def test_exactly_once_names_its_transactions_and_a_timeout_that_brokers_allow() -> None:
    table = sql.sink_table(OPTIONS, {}, sql.ALERT)
    assert "'sink.delivery-guarantee' = 'exactly-once'" in table
    assert "'sink.transactional-id-prefix' = 'tidemark-detect-alert_events'" in table
    assert "'properties.transaction.timeout.ms' = '600000'" in table
    assert "'sink.transaction-naming-strategy' = 'pooling'" in table


def test_low_latency_is_at_least_once_and_without_transactions() -> None:
    table = sql.sink_table(Options(delivery="low-latency"), {}, sql.ALERT)
    assert "'sink.delivery-guarantee' = 'at-least-once'" in table
    assert "transaction" not in table


def test_each_sink_has_transactions_of_its_own() -> None:
    tables = [sql.sink_table(OPTIONS, {}, tag) for tag in sql.SINKS]
    prefixes = {table.partition("transactional-id-prefix' = ")[2].partition(",")[0] for table in tables}
    assert len(prefixes) == 4


def test_alert_events_alone_have_headers() -> None:
    assert [("headers" in sql.sink_insert(tag)) for tag in sql.SINKS] == [True, False, False, False]


def test_security_options_go_to_every_table_and_quotes_do_not_end_the_text(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text('# ours\n\nsecurity.protocol=SASL_SSL\nsasl.jaas.config = a.B required password="it\'s";\n')
    properties = sql.read_properties(file)
    assert properties == {"security.protocol": "SASL_SSL", "sasl.jaas.config": 'a.B required password="it\'s";'}
    tables = [sql.readings_table(OPTIONS, properties), sql.rules_table(OPTIONS, properties)]
    for table in [*tables, *(sql.sink_table(OPTIONS, properties, tag) for tag in sql.SINKS)]:
        assert "'properties.sasl.jaas.config' = 'a.B required password=\"it''s\";'" in table


def test_a_line_that_is_no_property_is_named(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("a=b\nnonsense\n")
    with pytest.raises(ValueError, match=r"kafka\.properties:2"):
        sql.read_properties(file)


def test_a_fresh_start_may_begin_later() -> None:
    assert "'scan.startup.mode' = 'earliest-offset'" in sql.readings_table(OPTIONS, {})
    assert "'scan.startup.timestamp-millis' = '77'" in sql.readings_table(Options(start_ms=77), {})


def test_readings_have_no_idle_timeout_because_heartbeats_are_in_each_partition() -> None:
    assert "idle" not in sql.readings_table(OPTIONS, {})
    assert "'scan.watermark.idle-timeout' = '1 s'" in sql.rules_table(OPTIONS, {})
