"""What one is told to write down when getting started can be used; the commands are run by `tests/integration/docs`."""

import ast
import json
import re
from pathlib import Path

import pytest

from connectors.kit.settings import load_settings
from connectors.mapping.discover.discovery import discover
from connectors.mapping.discover.heard import Heard
from connectors.notifier.subscriptions import LogChannel, load_subscriptions
from jobs.detectors.base import Detector

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "getting-started.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [text for its_language, text in BLOCKS if its_language == language]


def test_the_settings_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tidemark.toml").write_text("".join(blocks("toml")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEMARK_SETTINGS", raising=False)
    settings = load_settings()
    assert (settings.time.grid_ms, settings.time.window_ms) == (1_000, 1_000)
    assert settings.mqtt.mappings_file == Path("mappings.yaml")
    assert f"windows are then {type(settings.time)().window_ms // 1000} seconds long" in PAGE


def test_two_minutes_are_enough_to_learn() -> None:
    assert f"for {Detector.warm_up} windows" in PAGE
    assert Detector.warm_up < 120  # windows of a second


def test_the_sensor_is_what_the_rest_speaks_of() -> None:
    (program,) = blocks("python")
    ast.parse(program)
    heard = Heard()
    for number in range(20):
        heard.add("cellar/boiler", json.dumps({"temperature": 60 + number / 10}).encode(), 1_795_000_000_000 + number)
    proposed = discover(heard, "home").proposals
    assert [(one.mapping["topic"], one.mapping["gateway"]) for one in proposed] == [("cellar/{device}", "cellar")]
    assert '"cellar/boiler"' in program
    assert "--topic 'cellar/#'" in PAGE
    assert PAGE.count("--gateway cellar") == 2


def test_the_subscription_is_told_of_the_boiler(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    (tmp_path / "subscriptions.yaml").write_text(text)
    (one,) = load_subscriptions(tmp_path / "subscriptions.yaml")
    assert (one.name, one.match.gateway) == ("me", "cellar")
    assert isinstance(one.channel, LogChannel)
    assert one.channel.path == tmp_path / "alerts.jsonl"


def test_links_lead_somewhere() -> None:
    """Of every page: files that are there, and headings that are in them."""
    for page in (*DOCS.glob("*.md"), *(DOCS.parent / name for name in ("README.md", "notebooks/README.md"))):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_new_pages_are_found_from_the_readme_and_from_each_other() -> None:
    readme = (DOCS.parent / "README.md").read_text()
    for name in ("getting-started", "subscribe", "connect-a-device", "operate"):
        assert f"(docs/{name}.md)" in readme
    assert "(subscribe.md)" in PAGE
    assert "(getting-started.md)" in (DOCS / "subscribe.md").read_text()
    assert "(getting-started.md)" in (DOCS / "connect-a-device.md").read_text()
