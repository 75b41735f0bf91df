"""What a board gets: nothing heavy is loaded, the unit is sound, the installer does what it says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.raspberrypi.config import load_config

REPO = Path(__file__).parents[3]
FOLDER = REPO / "deploy" / "raspberrypi"
UNIT = FOLDER / "tidemark-pi.service"
HEAVY = ("numpy", "pandas", "pyflink", "pydantic", "typer", "rich", "structlog", "yaml", "apprise", "confluent_kafka")


def test_nothing_heavy_is_loaded() -> None:
    modules = sorted(f"deploy.raspberrypi.{path.stem}" for path in FOLDER.glob("[a-z]*.py"))
    program = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint(HEAVY)
    assert "deploy" in loaded


def prepared_unit(folder: Path) -> Path:
    program = folder / "tidemark-pi"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = folder / "tidemark-pi.service"
    text = UNIT.read_text().replace("@BIN@", str(program)).replace("@CONFIG@", "/etc/c.toml").replace("@DOCS@", "/d")
    unit.write_text(text)
    return unit


def test_the_unit_is_watched_and_walled_in() -> None:
    lines = set(UNIT.read_text().splitlines())
    assert lines >= {
        "Type=notify", "WatchdogSec=60", "Restart=always", "NoNewPrivileges=yes", "ProtectSystem=strict",
        "MemoryMax=64M", "User=tidemark-pi", "CapabilityBoundingSet=", "RestartPreventExitStatus=2",
    }  # fmt: skip


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze judges units")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = prepared_unit(tmp_path)
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=60)
    # Without the group and user of the installation it may complain about those alone.
    ours = [line for line in done.stderr.splitlines() if "tidemark-pi.service" in line]
    assert ours == []
    security = ["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", str(unit)]
    judged = subprocess.run(security, capture_output=True, text=True, check=False, timeout=60)
    assert judged.returncode == 0, judged.stdout[-300:]


def install(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(FOLDER / "install.sh"), *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


WHO = ("--site", "plant-1", "--gateway", "pi-7", "--host", "broker.example")


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A folder that looks like a venv and runs this worktree's program."""
    program = tmp_path / "venv" / "bin" / "tidemark-pi"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\ncd "{REPO}" && exec "{sys.executable}" -m deploy.raspberrypi.main "$@"\n')
    program.chmod(0o755)
    return tmp_path / "venv"


def test_install_below_a_prefix_and_again(tmp_path: Path, venv: Path) -> None:
    (tmp_path / "ca.crt").write_text("certificate")
    (tmp_path / "secret").write_text("s3cret\n")
    root = tmp_path / "root"
    files = ("--ca", tmp_path / "ca.crt", "--username", "pi-7", "--password-file", tmp_path / "secret")
    done = install("--prefix", root, "--venv", venv, *WHO, *files)
    assert done.returncode == 0, done.stderr
    etc = root / "etc" / "tidemark-pi"
    config = load_config(etc / "config.toml")
    assert (config.gateway, config.mqtt.username, config.mqtt.port) == ("pi-7", "pi-7", 8883)
    assert (config.mqtt.ca_file, config.mqtt.password_file) == (etc / "ca.crt", etc / "password")
    assert oct((etc / "password").stat().st_mode & 0o777) == "0o600"
    assert (etc / "password").read_text() == "s3cret\n"
    unit = (root / "etc/systemd/system/tidemark-pi.service").read_text()
    assert f"ExecStart={venv}/bin/tidemark-pi run --config {etc}/config.toml" in unit
    assert "@" not in unit.replace("@system-service", "")
    assert (root / "usr/local/bin/tidemark-pi").resolve() == venv / "bin" / "tidemark-pi"

    (etc / "config.toml").write_text((etc / "config.toml").read_text() + "# mine\n")
    again = install("--prefix", root, "--venv", venv)
    assert again.returncode == 0, again.stderr
    assert (etc / "config.toml").read_text().endswith("# mine\n")
    assert (etc / "password").read_text() == "s3cret\n"


def test_a_dry_run_changes_nothing_and_shows_no_password(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    login = ("--username", "u", "--password-file", tmp_path / "secret")
    done = install("--dry-run", "--prefix", tmp_path / "root", *WHO, *login)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "root").exists()
    assert "would: " in done.stdout
    assert "pip install" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr
    whole = install("--dry-run", *WHO)
    assert "would: useradd" in whole.stdout
    assert "would: systemctl enable" in whole.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--site, --gateway and --host are needed"),
        (("--site", "a", "--gateway", "b"), "--host are needed"),
        (("--what",), "--what is no option"),
        (("--site",), "--site needs a value"),
        ((*WHO, "--ca", "/no/such/file"), "/no/such/file: no such file"),
        ((*WHO, "--source", "/nowhere"), "neither Tidemark's folder nor a wheel"),
        ((*WHO, "--venv", "/nowhere"), "no such program"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_done(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    done = install("--prefix", tmp_path / "root", *arguments)
    assert done.returncode != 0
    assert says in done.stderr
    assert not (tmp_path / "root").exists()


def test_a_login_without_a_password_and_without_a_terminal(tmp_path: Path, venv: Path) -> None:
    done = install("--prefix", tmp_path / "root", "--venv", venv, *WHO, "--username", "u")
    assert done.returncode == 1
    assert "give --password-file" in done.stderr
    assert not (tmp_path / "root/etc/tidemark-pi/password").exists()
