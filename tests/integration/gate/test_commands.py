"""What docs/beyond-loopback.md shows, typed: every line of it, and no other."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import free_ports
from deploy.local.processes import marked, sweep
from tests.support.gate import Login, Tester

pytestmark = pytest.mark.integration

REPO = Path(__file__).parents[3]
PAGE = (REPO / "docs/beyond-loopback.md").read_text()
SHOWN = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


class Shell:
    """A user's shell in a folder of their own, with a tidemark.toml for a stack of mosquitto alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inner, self.outer = free_ports(2)
        (folder / "tidemark.toml").write_text(f'[mqtt]\nport = {self.inner}\n[stack]\nparts = ["mosquitto"]\n')
        self.left = list(SHOWN)

    def type(self, line: str, *more: str, code: int = 0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a line of the page."""
        self.left.remove(line)
        return self.run(line, *more, code=code, stdin=stdin)

    def run(self, line: str, *more: str, code: int = 0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a line, with the address replaced by one that this machine has."""
        program, *words = shlex.split(line.replace("192.168.1.5", f"127.0.0.1:{self.outer}"))
        assert program == ".venv/bin/tidemark"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
        path = os.pathsep.join([str(REPO), *filter(None, [kept.get("PYTHONPATH")])])
        done = subprocess.run(
            [sys.executable, "-m", "deploy.command.main", *words, *more],
            cwd=self.folder,
            env=kept | {"PYTHONPATH": path, "COLUMNS": "200"},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, (line, done.stdout, done.stderr)
        return done

    def connect(self, user: str, password: str) -> Tester:
        """Connect as a gateway."""
        import ssl

        context = ssl.create_default_context(cafile=str(self.folder / "var/secrets/ca.crt"))
        return Tester(self.outer, Login(user, password), context=context)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    sweep(tmp_path / "var")


@pytest.mark.timeout(180)
def test_the_page_from_top_to_bottom(shell: Shell, tmp_path: Path) -> None:
    up = shell.type(".venv/bin/tidemark up --listen 192.168.1.5")
    assert f"mqtts://127.0.0.1:{shell.outer}" in up.stdout

    added = shell.type(".venv/bin/tidemark gateways add plant-1 pi-7").stdout
    password = re.findall(r"password  (\S+) ", added)[0]
    install = re.findall(r"^  (sudo .*)$", added, re.MULTILINE)[0]
    assert f"scp {tmp_path}/var/secrets/ca.crt pi@pi-7:" in added
    with shell.connect("pi-7", password) as pi:
        assert pi.is_in

    plug = shell.type(".venv/bin/tidemark gateways add plant-1 plug-7 --publish 'tele/plug-7/#'", "--json").stdout
    with shell.connect("plug-7", json.loads(plug)["password"]) as client:
        assert client.publish("tele/plug-7/SENSOR") == "No matching subscribers"
        assert client.publish("tele/plug-8/SENSOR") == "Not authorized"

    the_pi_installs(install, password, tmp_path)

    listed = shell.type(".venv/bin/tidemark gateways list").stdout
    assert "pi-7" in listed
    assert "tele/plug-7/#" in listed
    assert password not in listed

    with shell.connect("pi-7", password) as pi:
        shell.type(".venv/bin/tidemark gateways revoke pi-7", "--yes")
        assert pi.closed.wait(2)
    assert shell.connect("pi-7", password).outcome == "Not authorized"
    assert shell.left == [], "every line of the page was typed"

    status = json.loads(shell.run(".venv/bin/tidemark status --json").stdout)
    assert status["parts"][0]["state"] == "healthy"
    log = (tmp_path / "var/log/mosquitto.log").read_text()
    assert log.count("not authorised") == 1, "Tidemark's own commands are let in"
    shell.run(".venv/bin/tidemark down")
    assert marked(tmp_path / "var") == []


def the_pi_installs(line: str, password: str, folder: Path) -> None:
    """Type the line that was printed, in a folder instead of a Pi, and let `tidemark-pi check` try the broker."""
    (folder / "password").write_text(password)
    (folder / "password").chmod(0o600)
    words = shlex.split(line.replace("~/", f"{folder}/var/secrets/"))
    assert words[:2] == ["sudo", "deploy/raspberrypi/install.sh"]
    pi = folder / "pi"
    more = ["--prefix", str(pi), "--venv", str(REPO / ".venv"), "--password-file", str(folder / "password")]
    subprocess.run([REPO / words[1], *words[2:], *more], check=True, capture_output=True, timeout=60)
    config = pi / "etc/tidemark-pi/config.toml"
    command = [sys.executable, "-m", "deploy.raspberrypi.main", "check", "--json", "--config", str(config)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=60, check=False)
    said = {one["what"]: one["verdict"] for one in json.loads(done.stdout)}
    assert said["broker login"] == "ok", done.stdout


@pytest.mark.timeout(180)
def test_what_the_user_does_without_a_thought(shell: Shell, tmp_path: Path) -> None:
    """Before the first `up`, over a restart without the option, and with other commands that speak MQTT."""
    early = shell.run(".venv/bin/tidemark gateways add plant-1 pi-7 --json")
    assert json.loads(early.stdout)["listening"] is False
    password = json.loads(early.stdout)["password"]
    ca = (tmp_path / "var/secrets/ca.crt").read_bytes()

    shell.run(".venv/bin/tidemark up --listen 192.168.1.5")
    assert (tmp_path / "var/secrets/ca.crt").read_bytes() == ca
    with shell.connect("pi-7", password) as pi:
        assert pi.is_in
        status = {"v": 1, "state": "online", "boot": "b" * 8, "client": "test", "since_ms": 1_700_000_000_000}
        pi.client.publish("tidemark/v1/plant-1/pi-7/packs", b"heard", 1, retain=True)
        pi.publish("tidemark/v1/plant-1/pi-7/status", json.dumps(status).encode(), retain=True)
        heard = shell.run(".venv/bin/tidemark discover --seconds 1 --json", code=1)
        assert "Not authorized" not in heard.stderr
    listed = json.loads(shell.run(".venv/bin/tidemark gateways list --json").stdout)
    assert [(one["gateway"], one["state"]) for one in listed] == [("pi-7", "online")]
    sent = shell.run(".venv/bin/tidemark simulate --devices 1 --rate 10 --duration 0.5 --drain 0.5 --json", code=1)
    assert json.loads(sent.stdout)["sent"] > 0, "no bridge acknowledges, but the broker takes it"

    other = shell.run(".venv/bin/tidemark up --listen 127.0.0.2", code=1).stderr
    assert "tidemark down" in other
    shell.run(".venv/bin/tidemark up")
    refused = shell.run(".venv/bin/tidemark gateways revoke pi-7", code=1, stdin="")
    assert "--yes" in refused.stderr
    assert "not authorised" not in (tmp_path / "var/log/mosquitto.log").read_text()

    shell.run(".venv/bin/tidemark down")
    again = shell.run(".venv/bin/tidemark up").stdout
    assert "mqtts" not in again, "without the option it is loopback alone again"
    with Tester(shell.inner, None) as anybody:
        assert anybody.is_in
    shell.run(".venv/bin/tidemark up --fresh", code=1)
    shell.run(".venv/bin/tidemark down")
    shell.run(".venv/bin/tidemark up --fresh --listen 192.168.1.5")
    with shell.connect("pi-7", password) as pi:
        assert pi.is_in, "secrets survive --fresh"


def test_addresses_that_can_not_be(shell: Shell) -> None:
    for address, said in (("here", "no address"), ("203.0.113.77", "no address of this machine")):
        done = shell.run(f".venv/bin/tidemark up --listen {address}", code=2 if address == "here" else 1)
        assert said in done.stderr
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", shell.outer))
        taken.listen()
        done = shell.run(".venv/bin/tidemark up --listen 192.168.1.5", code=1)
        assert f"port {shell.outer} (stack.listen) is taken" in done.stderr
