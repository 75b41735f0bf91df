"""What the operating page says of topics, settings, commands and files is so."""

import re
from pathlib import Path

import pytest
import typer.main

from connectors.kit.settings import Settings
from connectors.wire.topics import KAFKA_TOPICS, KafkaTopic
from deploy.command import main as command
from deploy.local.flink.snapshots import KEEP
from deploy.local.layout import Layout
from deploy.local.supervisor import LOG_BACKUPS, LOG_BYTES

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "operate.md").read_text()
PAGES = {path.name: path.read_text() for path in DOCS.glob("*.md")}


@pytest.mark.parametrize("topic", KAFKA_TOPICS, ids=lambda topic: topic.name)
def test_retention_is_what_topics_are_created_with(topic: KafkaTopic) -> None:
    kept = f"{topic.retention_days} days" if topic.retention_days else "for ever"
    kept += ", the newest of each key" if topic.compacted else ""
    most = f" {topic.retention_bytes // 2**30} GiB" if topic.retention_bytes else ""
    assert f"| `{topic.name}` | {kept} |{most} |" in PAGE


@pytest.mark.parametrize("name", PAGES)
def test_every_command_and_option_named_exists(name: str) -> None:
    if not command.app.registered_commands:
        command._register()
    root = typer.main.get_command(command.app)
    lines = re.findall(r"tidemark ((?:[a-z]+ ?)+)((?:[^`\n#]*))", PAGES[name])
    for words, rest in lines:
        found, parents = root, words.split()
        while parents and hasattr(found, "commands"):
            first = parents.pop(0)
            assert first in found.commands, f"tidemark {words}"
            found = found.commands[first]
        known = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, f"tidemark {words}{rest}"


def test_every_setting_named_exists() -> None:
    sections = {name: type(field.default).model_fields for name, field in Settings.model_fields.items()}
    for name, text in PAGES.items():
        if name in ("raspberry-pi.md", "connect-a-device.md"):  # They name keys of files of their own.
            continue
        for section, key in re.findall(rf"`({'|'.join(sections)})\.(\w+)`", text):
            assert key in sections[section] or key == "toml", f"{name}: {section}.{key}"


def test_the_files_named_are_those_the_stack_has() -> None:
    layout = Layout(Path("var"))
    own = (
        layout.run,
        layout.log,
        layout.settings_file,
        *(layout.data(part) for part in ("kafka", "mosquitto", "influxd")),
    )
    for path in own:
        assert f"`{path.relative_to('var')}" in PAGE, path
    assert f"`{Settings.model_fields['notifier'].default.database.relative_to('var')}`" in PAGE


def test_the_numbers_are_those_of_the_code() -> None:
    assert KEEP == 3
    assert "the newest three of ended jobs" in PAGE
    assert (LOG_BYTES, LOG_BACKUPS) == ("10MB", 2)
    assert "at most three files of 10 MB" in PAGE
    assert f"`stack.influx_retention_days` ({Settings.model_fields['stack'].default.influx_retention_days})" in PAGE
    assert f"127.0.0.1:{Settings.model_fields['stack'].default.influx_rpc_port}" in PAGE
    assert f"-p {Settings.model_fields['mqtt'].default.port} " in PAGE
