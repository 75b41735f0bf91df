from pathlib import Path

from pydantic import SecretStr

from connectors.kit.settings import FlinkSettings, KafkaSettings, Settings, TimeSettings, TopicSettings
from deploy.local.flink.client import Client, job_arguments, kafka_properties
from deploy.local.flink.distribution import Distribution
from jobs.options import parse


def test_the_jobs_command_line_says_what_the_settings_say() -> None:
    settings = Settings(
        kafka=KafkaSettings(bootstrap="h:9"),
        time=TimeSettings(grid_ms=500, window_ms=1000, disorder_ms=3000),
        topics=TopicSettings(shards=4),
        flink=FlinkSettings(parallelism=3, checkpoint_ms=250, delivery="low-latency"),
    )
    options = parse(job_arguments(settings, "file:///c", Path("/k")))
    assert (options.bootstrap, options.window_ms, options.disorder_ms, options.shards) == ("h:9", 1000, 3000, 4)
    assert (options.parallelism, options.checkpoint_ms, options.delivery) == (3, 250, "low-latency")
    assert (options.checkpoint_dir, options.kafka_properties) == ("file:///c", Path("/k"))


def test_passwords_stay_off_the_command_line_and_are_their_owners_alone(tmp_path: Path) -> None:
    kafka = KafkaSettings(security_protocol="SASL_SSL", username="u", password=SecretStr('p"w'), ca_file=Path("/ca"))
    home = tmp_path / "flink"
    (home / "conf").mkdir(parents=True)
    (home / "conf/config.yaml").write_text("env: {java: {opts: {all: -Dx=y}}}")
    client = Client(Distribution(home, Path("java")), Settings(kafka=kafka), tmp_path / "client")
    client.write()
    properties = client.folder / "kafka.properties"
    assert properties.stat().st_mode & 0o077 == 0
    assert '\\"w' in properties.read_text()
    arguments = job_arguments(client.settings, "", properties)
    assert not [text for text in client.run_argv(tmp_path / "job.zip", None, arguments) if 'p"w' in text]


def test_security_in_javas_words() -> None:
    assert kafka_properties(KafkaSettings()) == {}
    scram = kafka_properties(KafkaSettings(security_protocol="SASL_PLAINTEXT", username="u", password=SecretStr("p")))
    assert scram["sasl.mechanism"] == "SCRAM-SHA-512"
    assert scram["sasl.jaas.config"].startswith("org.apache.flink.kafka.shaded.org.apache.kafka.common.security.scram.")
    assert scram["sasl.jaas.config"].endswith('ScramLoginModule required username="u" password="p";')
    assert kafka_properties(KafkaSettings(security_protocol="SSL", ca_file=Path("/ca"))) == {
        "security.protocol": "SSL",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "/ca",
    }


def test_a_savepoint_is_named_only_where_there_is_one(tmp_path: Path) -> None:
    home = tmp_path / "flink"
    (home / "conf").mkdir(parents=True)
    (home / "conf/config.yaml").write_text("env: {java: {opts: {all: -Dx=y}}}")
    client = Client(Distribution(home, Path("java")), Settings(), tmp_path, python="/workers/python")
    assert "--fromSavepoint" not in client.run_argv(Path("z"), None, [])
    argv = client.run_argv(Path("z"), "file:/s", ["--x", "1"])
    assert argv[argv.index("--fromSavepoint") + 1] == "file:/s"
    assert argv[argv.index("--pyExecutable") + 1] == "/workers/python"
    assert argv[argv.index("--") + 1 :] == ["--x", "1"]
