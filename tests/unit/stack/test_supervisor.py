import configparser
import shlex
import socket
from pathlib import Path

import pytest

from deploy.local import supervisor
from deploy.local.layout import Layout
from deploy.local.supervisor import Program, Supervisor, SupervisorDown, render


def parsed(folder: Path) -> configparser.RawConfigParser:
    text = render(
        Layout(folder), "/usr/bin/python3", "/srv/guard.py", [Program("kafka", 30.0), Program("bridge", 15.0)]
    )
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser


def test_every_part_is_a_program_under_guard() -> None:
    config = parsed(Path("/srv/a folder"))
    assert {"program:kafka", "program:bridge"} <= set(config.sections())
    argv = shlex.split(config["program:kafka"]["command"])
    assert argv == ["/usr/bin/python3", "-I", "-S", "/srv/guard.py", "/srv/a folder/run/kafka.json"]


def test_nothing_starts_before_it_is_told_to() -> None:
    assert parsed(Path("/srv/t"))["program:kafka"]["autostart"] == "false"


def test_the_guard_has_time_to_stop_its_part() -> None:
    assert int(parsed(Path("/srv/t"))["program:kafka"]["stopwaitsecs"]) > 30


def test_logs_are_bounded() -> None:
    program = parsed(Path("/srv/t"))["program:bridge"]
    assert (program["stdout_logfile_maxbytes"], program["stdout_logfile_backups"]) == ("10MB", "2")


def test_percent_signs_are_not_expanded() -> None:
    assert "/srv/100%%/run/kafka.json" in parsed(Path("/srv/100%"))["program:kafka"]["command"]


def test_no_supervisor_is_told_as_such(tmp_path: Path) -> None:
    nobody = Supervisor(Layout(tmp_path))
    assert not nobody.answers()
    with pytest.raises(SupervisorDown):
        nobody.states()


def test_a_supervisor_that_hangs_does_not_hang_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "CALL_TIMEOUT_S", 0.05)
    layout = Layout(tmp_path)
    layout.make()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(layout.socket))
        silent.listen()
        assert not Supervisor(layout).answers()
