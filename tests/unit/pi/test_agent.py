"""The agent in this process: a disk that refuses, a clock that isn't known."""

from pathlib import Path

import pytest

from deploy.raspberrypi.config import ConfigError, parse_config
from deploy.raspberrypi.notify import Notifier
from deploy.raspberrypi.run import Agent
from deploy.raspberrypi.secret import SecretError
from deploy.raspberrypi.wiring import Wiring
from simulators.device import OutboxError
from tests.support.mosquitto import free_port
from tests.support.pi_board import BOARD, bme280_bus, config_text


def agent(folder: Path, text: str = "", synchronised: bool = True, gateway: str = "pi-1") -> Agent:
    whole = config_text(free_port(), folder / "o.sqlite", gateway).replace("ledger = true", "ledger = true\n" + text)
    whole = whole.replace("trust = true", "hold_rounds = 20")
    wiring = Wiring(BOARD, bme280_bus().open, None, lambda: synchronised)
    return Agent(parse_config(whole, Path("c.toml")), wiring, Notifier({}))


def test_a_full_outbox_holds_readings_back_and_then_takes_each_once(tmp_path: Path) -> None:
    made = agent(tmp_path, "limit_packs = 100")
    outbox = made.device.outbox
    made.device.declare(made.rounds.table)
    try:
        for _ in range(110):
            made._round()
        assert (outbox.last_seq, len(made._waiting)) == (100, 10)
        assert "10 rounds wait in memory" in made.status()
        outbox.acknowledge(outbox.boot, 50)
        made._round()
        assert (outbox.last_seq, len(made._waiting)) == (111, 0)
        assert made.rounds.tally.committed == made.rounds.tally.readings == 111 * 7
        assert made.rounds.tally.dropped == 0
    finally:
        made._loop.stop()


def test_a_clock_that_stays_unknown_drops_the_oldest_and_says_so(tmp_path: Path) -> None:
    made = agent(tmp_path, synchronised=False)
    for _ in range(25):
        made._round()
    assert made.device.outbox.last_seq == 0
    assert made.device.link() is None, "nothing is sent, not even a greeting"
    assert len(made._waiting) == 20
    assert "waiting for the time of day" in made.status()
    assert "35 dropped" in made.status()
    made.device.close()


def test_one_outbox_one_agent_one_gateway(tmp_path: Path) -> None:
    made = agent(tmp_path)
    with pytest.raises(OutboxError, match="another process"):
        agent(tmp_path)
    made.device.close()
    with pytest.raises(OutboxError, match="belongs to gateway pi-1"):
        agent(tmp_path, gateway="pi-2")


def test_a_password_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret")
    (tmp_path / "password").chmod(0o644)
    text = config_text(1883, tmp_path / "o.sqlite").replace(
        "tls = false", f'tls = false\nusername = "u"\npassword_file = "{tmp_path}/password"'
    )
    with pytest.raises(SecretError, match="chmod 600"):
        Agent(parse_config(text, Path("c")), Wiring(BOARD, bme280_bus().open, None), Notifier({}))


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_is_none_stops_the_start(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ca").write_text(content)
    text = config_text(1883, tmp_path / "o.sqlite").replace("tls = false", f'tls = true\nca_file = "{tmp_path}/ca"')
    with pytest.raises(ConfigError, match=r"mqtt\.ca_file"):
        Agent(parse_config(text, Path("c")), Wiring(BOARD, bme280_bus().open, None), Notifier({}))
