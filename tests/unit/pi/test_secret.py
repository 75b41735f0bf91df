"""The password file."""

from pathlib import Path

import pytest

from deploy.raspberrypi.secret import SecretError, read_password


def write(tmp_path: Path, content: bytes, mode: int = 0o600) -> Path:
    file = tmp_path / "password"
    file.write_bytes(content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("content", [b"s3cret", b"s3cret\n", b"s3cret\r\n"])
def test_the_password_is_the_line(tmp_path: Path, content: bytes) -> None:
    assert read_password(write(tmp_path, content)) == "s3cret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_file_that_others_may_touch_is_refused_with_the_mend(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SecretError, match=r"chmod 600 .*password") as raised:
        read_password(write(tmp_path, b"s3cret", mode))
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\xfe"])
def test_what_is_no_password(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SecretError):
        read_password(write(tmp_path, content))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="mode 0600"):
        read_password(tmp_path / "none")
