"""What is to be typed for a new gateway: the install script takes it as it is."""

import shlex
import subprocess
from pathlib import Path

import pytest

from deploy.local.gate.instructions import INSTALL, Invitation

REPO = Path(__file__).parents[3]


def invitation(gateway: str = "pi-7", port: int = 8883, password_file: Path | None = None) -> Invitation:
    return Invitation("plant-1", gateway, "10.0.0.5", port, Path("/srv/var/secrets/ca.crt"), password_file)


def test_the_lines() -> None:
    assert invitation().here() == "scp /srv/var/secrets/ca.crt pi@pi-7:"
    assert invitation().on_the_pi() == (
        "sudo deploy/raspberrypi/install.sh --site plant-1 --gateway pi-7 --host 10.0.0.5 --ca ~/ca.crt --username pi-7"
    )


def test_a_password_in_a_file_is_copied_too() -> None:
    one = invitation(password_file=Path("out/pi 7.password"))
    assert one.here() == "scp /srv/var/secrets/ca.crt 'out/pi 7.password' pi@pi-7:"
    assert one.on_the_pi().endswith("--username pi-7 --password-file ~/'pi 7.password'")


def test_names_that_a_shell_would_take_apart() -> None:
    assert "--gateway 'a;b' " in invitation("a;b").on_the_pi()
    assert invitation("a;b").here().endswith(" pi@PI:")


@pytest.mark.parametrize("port", [8883, 9000])
def test_the_install_script_takes_the_line(tmp_path: Path, port: int) -> None:
    """The words of the line, in a dry run: what it would write is what was said."""
    (tmp_path / "ca.crt").write_text("")
    (tmp_path / "password").write_text("secret")
    one = invitation(port=port, password_file=Path("password"))
    words = shlex.split(one.on_the_pi().replace("~", str(tmp_path)))
    assert words[:2] == ["sudo", INSTALL]
    done = subprocess.run(
        [REPO / INSTALL, *words[2:], "--prefix", tmp_path / "pi", "--dry-run"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--host 10.0.0.5" in done.stdout
    assert ("--port 9000" in done.stdout) == (port == 9000)
    assert "--username pi-7" in done.stdout
