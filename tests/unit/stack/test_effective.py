import os
import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.kit.settings import InfluxSettings, NotifierSettings, Settings, load_settings
from deploy.local.effective import MARKER, effective, part_environment, to_toml, write_private
from deploy.local.layout import SOCKET_PATH_LIMIT, Layout


def test_data_lie_below_the_folder(tmp_path: Path) -> None:
    settings = effective(Settings(), tmp_path / "here")
    assert settings.stack.data == tmp_path / "here"
    assert settings.notifier.database == tmp_path / "here/data/notifier/outbox.sqlite"
    assert settings.notifier.subscriptions_file == tmp_path / "here/subscriptions.yaml"


def test_files_that_are_named_stay_where_they_are(tmp_path: Path) -> None:
    named = NotifierSettings(database=tmp_path / "mine.sqlite", subscriptions_file=tmp_path / "mine.yaml")
    settings = effective(Settings(notifier=named), tmp_path / "here")
    assert settings.notifier == named


def test_a_users_subscriptions_are_found_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("subscriptions.yaml").write_text("")
    assert effective(Settings(), Path("var")).notifier.subscriptions_file == tmp_path / "subscriptions.yaml"


def test_what_is_written_is_what_a_part_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wild = 'it\'s "quoted"\\ with \t tab, ünïcode, \x7f and\nnewline'
    influx = InfluxSettings(token=SecretStr(wild), series=["a/*", 'b"c'], organisation="")
    settings = effective(Settings(influxdb=influx), tmp_path / "data folder")
    file = tmp_path / "settings.toml"
    write_private(file, to_toml(settings))
    monkeypatch.setenv("TIDEMARK_SETTINGS", str(file))
    read = load_settings()
    assert read == settings
    assert read.influxdb.secret() == wild
    assert effective(read, tmp_path / "data folder") == settings


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("older")
    file.chmod(0o644)
    write_private(file, "secret")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == "secret"
    assert list(tmp_path.iterdir()) == [file]


def test_absent_values_are_left_out() -> None:
    written = tomllib.loads(to_toml(Settings()))
    assert "ca_file" not in written["mqtt"]
    assert set(written) == set(Settings.model_fields)


def test_the_environment_of_a_part_holds_no_setting_but_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_KAFKA__PASSWORD", "secret")
    monkeypatch.setenv("TIDEMARK_SETTINGS", "another.toml")
    monkeypatch.setenv("TIDEMARKS_WEBHOOK_SECRET", "needed")
    environment = part_environment(Layout(tmp_path))
    ours = {name: value for name, value in environment.items() if name.startswith("TIDEMARK_")}
    assert ours == {"TIDEMARK_SETTINGS": str(tmp_path / "settings.toml"), MARKER: str(tmp_path)}
    assert environment["TIDEMARKS_WEBHOOK_SECRET"] == "needed", "a channel's secret may be in any variable"
    assert environment["PATH"] == os.environ["PATH"]


def test_a_long_folder_still_has_a_socket() -> None:
    short, long = Layout(Path("/srv/tidemark")), Layout(Path("/srv") / ("x" * 150))
    assert short.socket == Path("/srv/tidemark/run/supervisor.sock")
    assert len(str(long.socket)) <= SOCKET_PATH_LIMIT
    assert long.socket != Layout(Path("/srv") / ("y" * 150)).socket
