"""The one settings file: `tidemark.toml`, overridden by the environment (`TIDEMARK_KAFKA__BOOTSTRAP=…`).

Every error is reported at once. Secrets come from the environment or from files the settings name, never from flags.
"""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from connectors.kit.clock import Clock, ScaledClock, WallClock
from connectors.kit.listen import checked_host, parse_listen

SETTINGS_VARIABLE = "TIDEMARK_SETTINGS"
DEFAULT_FILE = Path("tidemark.toml")

Port = Annotated[int, Field(ge=1, le=65535)]
Milliseconds = Annotated[int, Field(ge=0)]


class SettingsError(Exception):
    """The settings can't be used; the message lists every error, one a line."""


class Section(BaseModel):
    """A table of the settings file; a key it doesn't know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeSettings(Section):
    """Event time: when readings were taken, by the clocks of the devices."""

    grid_ms: Annotated[int, Field(ge=100)] = Field(
        10_000,
        description="Length of a cell: event time is cut into cells, and no Kafka record crosses the edge of one.",
    )
    window_ms: Annotated[int, Field(ge=100)] = Field(
        10_000, description="Length of a window, in which each series is judged once: a whole number of cells."
    )
    disorder_ms: Milliseconds = Field(
        10_000,
        description="How far a gateway may lag behind the others of its shard before its readings count as late; "
        "alerts wait for so long.",
    )
    future_limit_ms: Milliseconds = Field(
        300_000,
        description="A reading stamped further ahead of its receipt becomes a dead letter: its clock is wrong.",
    )
    skew_limit_ms: Milliseconds = Field(
        300_000, description="A gateway whose clock is further off than this raises the alert `clock-skew`."
    )

    @model_validator(mode="after")
    def _on_the_grid(self) -> Self:
        if self.window_ms % self.grid_ms:
            msg = f"window_ms {self.window_ms} is not a whole number of cells of grid_ms {self.grid_ms}"
            raise ValueError(msg)
        return self


class ClockSettings(Section):
    """The clock that event time is compared with. Leave it alone but for replays: by default it is the machine's."""

    origin_ms: int | None = Field(
        None, description="What the clock shows at `started_at_ms`, ms since 1970; none is the machine's clock."
    )
    started_at_ms: int = Field(0, description="Machine's time at which it shows `origin_ms`, ms since 1970.")
    speed: Annotated[float, Field(gt=0)] = Field(
        1.0, description="How many times as fast it runs as the machine's clock."
    )

    def build(self) -> Clock:
        """Return the clock."""
        if self.origin_ms is None:
            return WallClock()
        return ScaledClock(self.origin_ms, self.started_at_ms, self.speed)


class MqttSettings(Section):
    """The MQTT broker that gateways publish to."""

    host: str = Field("127.0.0.1", description="Broker's host.")
    port: Port = Field(18830, description="Broker's port.")
    username: str = Field("", description="User name; empty for none.")
    password: SecretStr = Field(SecretStr(""), description="Password, better given as password_file.")
    password_file: Path | None = Field(None, description="File that holds the password.")
    tls: bool = Field(False, description="Whether to connect by TLS (1.2 or later).")
    ca_file: Path | None = Field(None, description="PEM file of the CA certificates to trust; none means the system's.")
    keepalive_s: Annotated[int, Field(ge=1)] = Field(
        30, description="How often the connection is tried; a dead one is found after 1.5 times this."
    )
    reconnect_min_s: Annotated[float, Field(gt=0)] = Field(
        1.0, description="Wait before the first reconnect; it doubles with each,"
    )
    reconnect_max_s: Annotated[float, Field(gt=0)] = Field(30.0, description="up to this.")
    mappings_file: Path | None = Field(
        None,
        description="What devices publish in a form of their own, and what it means; `tidemark discover` proposes one.",
    )

    def secret(self) -> str:
        """Return the password, from its file where one is named."""
        return read_secret(self.password, self.password_file)


class KafkaSettings(Section):
    """Kafka, which holds all readings, alerts and rules."""

    bootstrap: str = Field("127.0.0.1:19092", description="Brokers to begin with, `host:port`, comma-separated.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to connect: with TLS (SSL) or without, and with a log-in (SASL) or without."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How the log-in is proved, where security_protocol has SASL."
    )
    username: str = Field("", description="User name of the log-in.")
    password: SecretStr = Field(SecretStr(""), description="Password, better given as password_file.")
    password_file: Path | None = Field(None, description="File that holds the password.")
    ca_file: Path | None = Field(None, description="PEM file of the CA certificates to trust; none means the system's.")
    replication: Annotated[int, Field(ge=1)] = Field(
        1, description="Copies that Kafka keeps of each topic it creates; at most its number of brokers."
    )

    def secret(self) -> str:
        """Return the password, from its file where one is named."""
        return read_secret(self.password, self.password_file)


class TopicSettings(Section):
    """How Kafka's topics are created. What exists is left as it is."""

    shards: Annotated[int, Field(ge=1, le=1024)] = Field(
        32,
        description="Partitions of the readings topic: how widely judging can be spread. Fixed when it is created.",
    )
    keep_everything: bool = Field(
        False, description="Kafka deletes nothing, however old: for replays of old data, whose stamps are old too."
    )


class BridgeSettings(Section):
    """The bridge, which carries readings from MQTT to Kafka and acknowledges them to the gateways."""

    client_id: str = Field(
        "tidemark-bridge",
        description="MQTT client id; the broker keeps what this client has missed, so it stays the same.",
    )
    max_inflight: Annotated[int, Field(ge=20, le=65535)] = Field(
        1000, description="The broker sends at most so many messages that are not yet in Kafka, which bounds memory."
    )
    table_hold_ms: Milliseconds = Field(
        5_000, description="How long a pack waits for the table that names its series before it becomes a dead letter."
    )
    linger_ms: Milliseconds = Field(20, description="How long small packs wait to share a Kafka record.")
    record_bytes: Annotated[int, Field(ge=1024)] = Field(262_144, description="A record is closed at this size.")
    payload_bytes: Annotated[int, Field(ge=1024)] = Field(
        65_536, description="A larger MQTT payload becomes a dead letter."
    )
    ack_packs: Annotated[int, Field(ge=1)] = Field(
        16, description="A gateway is told what is in Kafka after so many packs,"
    )
    ack_ms: Milliseconds = Field(1_000, description="or after so long, whichever comes first.")
    heartbeat_grace_ms: Milliseconds = Field(
        30_000,
        description="After a reconnect event time waits so long for what gateways kept meanwhile, or it were late.",
    )
    last_heartbeat_ms: int | None = Field(
        None, description="Where a replay ends, event time, ms since 1970: the bridge moves time on no further."
    )
    metrics_port: int = Field(19101, description="Loopback port of /metrics, /healthz and /readyz.")


class FlinkSettings(Section):
    """The Flink cluster and the job."""

    rest: str = Field("127.0.0.1:18081", description="Address of the job manager's REST interface and web page.")
    parallelism: Annotated[int, Field(ge=1)] = Field(
        2, description="How many workers judge side by side; needs as many task slots."
    )
    checkpoint_ms: Annotated[int, Field(ge=100)] = Field(
        1_000, description="How often the job saves its state. With exactly-once, alerts become visible at each save."
    )
    delivery: Literal["exactly-once", "low-latency"] = Field(
        "exactly-once",
        description="exactly-once: an alert is visible after the next checkpoint; low-latency: at once, but after a "
        "failure perhaps again, with the same id.",
    )
    home: Path | None = Field(
        None, description="Folder of Flink's distribution; none means the one in PyPI's apache-flink."
    )


class InfluxSettings(Section):
    """InfluxDB. Version 1.8 needs no token: user and password, or nothing on loopback."""

    url: str = Field("http://127.0.0.1:18086", description="Address.")
    token: SecretStr = Field(
        SecretStr("-"), description="Token (2.x), better given as token_file; 1.8 takes `user:password`."
    )
    token_file: Path | None = Field(None, description="File that holds the token.")
    organisation: str = Field("-", description="Organisation (2.x); 1.8 takes `-`.")
    bucket: Annotated[str, Field(min_length=1)] = Field(
        "tidemark", description="Bucket (2.x); database, or database/retention policy (1.8)."
    )
    series: list[str] = Field(
        ["*"], description="Globs of `site/gateway/device/quantity`: the series whose windows are written, too."
    )
    batch_points: Annotated[int, Field(ge=1, le=100_000)] = Field(
        5_000, description="Points that one write holds, at most."
    )
    linger_ms: Milliseconds = Field(250, description="How long records gather before they are written.")
    timeout_ms: Annotated[int, Field(ge=100)] = Field(10_000, description="A write without an answer is tried again.")
    table_wait_ms: Milliseconds = Field(
        10_000,
        description="How long windows wait for the table that names their series before they become dead letters.",
    )
    metrics_port: int = Field(19102, description="Loopback port of /metrics, /healthz and /readyz.")

    def secret(self) -> str:
        """Return the token, from its file where one is named."""
        return read_secret(self.token, self.token_file)


class NotifierSettings(Section):
    """The notifier, which tells subscribers of alerts."""

    subscriptions_file: Path = Field(Path("subscriptions.yaml"), description="Who gets what, by which channel.")
    database: Path = Field(
        Path("var/data/notifier/outbox.sqlite"),
        description="SQLite file of what is still to be delivered, and of what was.",
    )
    retry_s: list[Annotated[float, Field(ge=0)]] = Field(
        [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400],
        description="Seconds before the second attempt, the third, and so on; then a notification is dead.",
    )
    metrics_port: int = Field(19103, description="Loopback port of /metrics, /healthz and /readyz.")


class MonitorSettings(Section):
    """The monitor, which raises alerts about Tidemark itself."""

    interval_ms: Annotated[int, Field(ge=100)] = Field(5_000, description="How often it looks.")
    patience_ms: Milliseconds = Field(
        60_000, description="How long something may stand still before that is an alert: it may recover by itself."
    )
    broker_log_file: Path | None = Field(
        None,
        description="Log of the broker, in which refusals are counted; `tidemark up` sets it for a broker that listens "
        "beyond loopback.",
    )
    metrics_port: int = Field(19104, description="Loopback port of /metrics, /healthz and /readyz.")


class StackSettings(Section):
    """The embedded stack: what `tidemark up` starts on this machine."""

    data: Path = Field(Path("var"), description="Where the stack keeps data, logs and its own files.")
    parts: list[str] = Field(
        ["mosquitto", "kafka", "influxd", "flink", "bridge", "influxdb-writer", "notifier", "monitor", "job"],
        description="Which parts `tidemark up` starts; name fewer to use your own clusters for the rest.",
    )
    listen: str = Field(
        "",
        description="Address of this machine where gateways reach the embedded broker, by TLS and with a password "
        "each: `192.168.1.5`, `192.168.1.5:8883`, or `0.0.0.0` for all. Empty: on loopback alone.",
    )
    listen_names: list[str] = Field(
        [], description="Further names and addresses by which gateways reach it; they go into its certificate."
    )
    short_lived: bool = Field(
        False,
        description="Java compiles quickly, not thoroughly: less CPU in the first minutes, a lower ceiling later.",
    )
    task_slots: Annotated[int, Field(ge=1)] = Field(
        2, description="How many workers the embedded Flink has room for; at least flink.parallelism."
    )
    kafka_heap_mib: Annotated[int, Field(ge=128)] = Field(512, description="Java heap of Kafka.")
    flink_job_manager_mib: Annotated[int, Field(ge=512)] = Field(1024, description="Memory of the job manager.")
    flink_task_manager_mib: Annotated[int, Field(ge=1024)] = Field(2048, description="Memory of the task manager.")
    kafka_controller_port: Port = Field(19093, description="Port on which the embedded Kafka talks to itself.")
    flink_rpc_port: Port = Field(16123, description="Port where Flink's task manager finds the job manager.")
    flink_metrics_port: Annotated[int, Field(ge=0, le=65534)] = Field(
        0,
        description="Port of the embedded Flink's own metrics for Prometheus, and the next port; 0 for none. Flink "
        "serves them on every address of the machine, not on loopback alone.",
    )
    influx_rpc_port: Port = Field(
        18088, description="Port for back-ups of the embedded InfluxDB (`influxd backup -host`)."
    )
    influx_retention_days: Annotated[int, Field(ge=0)] = Field(
        400, description="How long the embedded InfluxDB keeps points, by event time; 0 keeps them for ever."
    )

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value:
            parse_listen(value)
        return value

    @field_validator("listen_names")
    @classmethod
    def _are_hosts(cls, value: list[str]) -> list[str]:
        return [checked_host(name) for name in value]


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(env_prefix="TIDEMARK_", env_nested_delimiter="__", extra="forbid", frozen=True)

    time: TimeSettings = TimeSettings()
    clock: ClockSettings = ClockSettings()
    mqtt: MqttSettings = MqttSettings()
    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    bridge: BridgeSettings = BridgeSettings()
    flink: FlinkSettings = FlinkSettings()
    influxdb: InfluxSettings = InfluxSettings()
    notifier: NotifierSettings = NotifierSettings()
    monitor: MonitorSettings = MonitorSettings()
    stack: StackSettings = StackSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then the file."""
        path = os.environ.get(SETTINGS_VARIABLE)
        file = Path(path) if path else DEFAULT_FILE
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)


def read_secret(value: SecretStr, file: Path | None) -> str:
    """Return a secret, from `file` where one is named."""
    if file is None:
        return value.get_secret_value()
    try:
        return file.read_text().strip()
    except OSError as error:
        raise SettingsError(f"secret file {file}: {error.strerror}") from error


def load_settings() -> Settings:
    """Read the file that `TIDEMARK_SETTINGS` names (or `tidemark.toml`, which may be absent) and the environment.

    Raises
    ------
    SettingsError
        With every error, one a line, each naming its key.
    """
    path = os.environ.get(SETTINGS_VARIABLE)
    if path and not Path(path).is_file():
        raise SettingsError(f"{SETTINGS_VARIABLE} names {path}, which is no file")
    try:
        # The variable that names the file is not a setting itself.
        return Settings()
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors()]
        raise SettingsError("the settings can't be used:\n  " + "\n  ".join(lines)) from error
    except ValueError as error:
        raise SettingsError(f"{path or DEFAULT_FILE} can't be read: {error}") from error
