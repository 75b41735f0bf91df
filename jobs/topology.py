"""The detect job's topology: readings → late or windows → judged with the rules → four topics."""

from dataclasses import dataclass

from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment, Table

from jobs import sql
from jobs.judge import RULES, TAGGED, Judge
from jobs.keyed import keyed_by_first
from jobs.operators import set_operator_ids
from jobs.options import Options


@dataclass(frozen=True)
class Plan:
    """The job, built but not started.

    Attributes
    ----------
    windows
        The query over readings, for its `explain()`.
    operator_ids
        Sorted.
    """

    environment: StreamExecutionEnvironment
    windows: Table
    operator_ids: list[str]


def build(environment: StreamExecutionEnvironment, options: Options) -> Plan:
    """Build the job in `environment`."""
    tables = StreamTableEnvironment.create(environment)
    # Windows of TIMESTAMP_LTZ are aligned to the session's zone.
    tables.get_config().set("table.local-time-zone", "UTC")
    # Ids are set by `operators.py`; Flink's own are numbers in plan order, which shift when the plan changes.
    tables.get_config().set("table.exec.uid.generation", "DISABLED")
    properties = sql.read_properties(options.kafka_properties)
    for statement in (
        sql.readings_table(options, properties),
        sql.rules_table(options, properties),
        sql.on_time_view(options),
    ):
        tables.execute_sql(statement)
    windows = tables.sql_query(sql.windows_query(options))
    keyed = keyed_by_first(tables.to_data_stream(windows))
    rules = tables.to_data_stream(tables.sql_query("SELECT version, body FROM rules"))
    judged = keyed.connect(rules.broadcast(RULES)).process(Judge(options.window_ms), output_type=TAGGED).name("judge")
    tables.create_temporary_view(sql.JUDGED, judged)
    statements = tables.create_statement_set()
    for tag in sql.SINKS:
        tables.execute_sql(sql.sink_table(options, properties, tag))
        statements.add_insert_sql(sql.sink_insert(tag))
    statements.attach_as_datastream()
    return Plan(environment, windows, set_operator_ids(environment))
