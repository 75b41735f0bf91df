"""The config file: everything that is wrong, at once, with key, value and mend."""

from pathlib import Path

import pytest

from deploy.raspberrypi.config import Config, ConfigError, load_config, parse_config

LEAST = 'site = "plant-1"\ngateway = "pi-7"\n[mqtt]\nhost = "broker.example"\n'


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse_config(text, Path("c.toml"))
    return str(raised.value).splitlines()


def test_the_least_there_can_be() -> None:
    config = parse_config(LEAST, Path("c.toml"))
    assert (config.mqtt.port, config.mqtt.tls, config.period_s) == (8883, True, 10.0)
    assert (config.ds18b20, config.board.temperature) == ((), True)


def test_everything_set() -> None:
    config = parse_config(
        LEAST
        + 'port = 1\nusername = "pi-7"\npassword_file = "/p"\nca_file = "/ca"\nkeepalive_s = 5\n'
        + 'reconnect_min_s = 2\nreconnect_max_s = 4\n[outbox]\npath = "/o"\nlimit_packs = 100\nledger = true\n'
        + "[clock]\ntrust = true\nhold_rounds = 5\n"
        + '[board]\ndevice = "pi"\ntemperature = false\nthrottling = false\n'
        + '[[ds18b20]]\nid = "28-000005e2fdc3"\ndevice = "boiler"\nquantity = "flow"\n'
        + '[[bme280]]\ndevice = "room"\nbus = 3\naddress = 0x77\n',
        Path("c.toml"),
    )
    assert isinstance(config, Config)
    assert (config.mqtt.password_file, config.outbox.path, config.mqtt.reconnect_min_s) == (Path("/p"), Path("/o"), 2.0)
    assert (config.ds18b20[0].quantity, config.bme280[0].address) == ("flow", 0x77)


def test_all_problems_at_once_with_key_value_and_mend() -> None:
    found = problems(
        'site = "a/b"\nperiod_s = 0\n[mqtt]\nport = "8883"\ntsl = true\n[[ds18b20]]\nid = "28-xyz"\n[[ds18b20]]\n'
        "[[bme280]]\naddress = 0x40\n[outbox]\npath = 7\n"
    )
    expected = [
        ("site = 'a/b'", "without blanks"),
        ("gateway", "is missing"),
        ("mqtt.host", "is missing; give the broker's name"),
        ("mqtt.port = '8883'", "8883"),
        ("mqtt.tsl = True", "did you mean tls?"),
        ("period_s = 0", "from 0.1"),
        ("outbox.path = 7", "path"),
        ("ds18b20[0].id = '28-xyz'", "/sys/bus/w1/devices"),
        ("ds18b20[1].id", "is missing"),
        ("bme280[0].address = 64", "0x76"),
    ]
    assert len(found) == len(expected), found
    for key, mend in expected:
        (line,) = [one for one in found if one.startswith(f"c.toml: {key}:") or one.startswith(f"c.toml: {key} ")]
        assert mend in line


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ('tls = false\nusername = "u"\npassword_file = "/p"\n', "mqtt.tls = false"),
        ('password_file = "/p"\n', "mqtt.username"),
        ('tls = false\nca_file = "/ca"\n', "mqtt.ca_file"),
        ("reconnect_min_s = 9\nreconnect_max_s = 3\n", "mqtt.reconnect_min_s"),
        ('[[bme280]]\n[[bme280]]\ndevice = "other"\n', "bme280[1].address"),
        ("[[bme280]]\n[[bme280]]\naddress = 0x77\n", "bme280[1].device"),
        ('[[bme280]]\ndevice = "board"\n', "board.device"),
        ('[[ds18b20]]\nid = "28-000005e2fdc3"\n[[ds18b20]]\nid = "28-000005e2fdc3"\ndevice = "x"\n', "ds18b20[1].id"),
    ],
)
def test_settings_that_contradict_each_other(more: str, key: str) -> None:
    found = problems(LEAST + more)
    assert any(line.startswith(f"c.toml: {key}") for line in found), found


def test_a_password_without_tls_stays_on_this_machine() -> None:
    text = LEAST.replace("broker.example", "127.0.0.1") + 'tls = false\nusername = "u"\npassword_file = "/p"\n'
    assert parse_config(text, Path("c")).mqtt.username == "u"


@pytest.mark.parametrize("text", ["site = ", "mqtt = 3\n", "ds18b20 = 3\n", "[ds18b20]\n", "ds18b20 = [3]\n", "= 1"])
def test_no_text_breaks_the_reader(text: str) -> None:
    assert problems(text)


def test_a_file_that_cant_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"site = '\xe9'")
    for name, why in (("none", "No such file"), ("latin", "UTF-8"), (".", "directory")):
        with pytest.raises(ConfigError, match=why):
            load_config(tmp_path / name)
