"""Java's class data: written once, checked, kept, used; never half of it."""

import stat
from pathlib import Path

import pytest

from deploy.local.classdata import ClassData, fingerprint

WHOLE, HALF = b"whole", b"half"


@pytest.fixture
def java(tmp_path: Path) -> Path:
    """A stand-in for Java that accepts the archives whose content is `whole`."""
    script = tmp_path / "java"
    script.write_text(
        "#!/bin/sh\n"
        'for option in "$@"; do case $option in -XX:SharedArchiveFile=*) file=${option#*=};; esac; done\n'
        'grep -qx whole "$file"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"classes")
    return jar


def classes(tmp_path: Path, stack: str = "one") -> ClassData:
    return ClassData(tmp_path / stack, tmp_path / "archives")


def draft_of(options: tuple[str, ...]) -> Path:
    (option,) = [each for each in options if each.startswith("-XX:ArchiveClassesAtExit=")]
    return Path(option.partition("=")[2])


def test_the_first_end_writes_an_archive_and_the_next_start_uses_it(tmp_path: Path, java: Path, jar: Path) -> None:
    data = classes(tmp_path)
    draft_of(data.options("kafka", java, str(jar))).write_bytes(WHOLE)
    (kept,) = data.adopt()
    assert kept.startswith("kafka-")
    for stack in ("one", "two"):
        assert f"-XX:SharedArchiveFile={tmp_path}/archives/{kept}.jsa" in classes(tmp_path, stack).options(
            "kafka", java, str(jar)
        )
    assert not list((tmp_path / "one").iterdir())


def test_half_an_archive_is_thrown_away_and_written_again(tmp_path: Path, java: Path, jar: Path) -> None:
    data = classes(tmp_path)
    draft_of(data.options("kafka", java, str(jar))).write_bytes(HALF)
    assert data.adopt() == []
    draft = draft_of(data.options("kafka", java, str(jar)))
    assert not draft.exists()


def test_a_program_that_was_killed_leaves_nothing(tmp_path: Path, java: Path, jar: Path) -> None:
    data = classes(tmp_path)
    data.options("kafka", java, str(jar))
    assert data.adopt() == []
    assert not list((tmp_path / "one").iterdir())


def test_two_stacks_write_apart_and_either_is_kept(tmp_path: Path, java: Path, jar: Path) -> None:
    stacks = [classes(tmp_path, name) for name in ("one", "two")]
    drafts = [draft_of(each.options("kafka", java, str(jar))) for each in stacks]
    for draft in drafts:
        draft.write_bytes(WHOLE)
    assert stacks[0].adopt() == stacks[1].adopt()
    assert len(list((tmp_path / "archives").iterdir())) == 1


def test_a_changed_jar_wants_another_archive(tmp_path: Path, java: Path, jar: Path) -> None:
    before = fingerprint(java, str(jar))
    jar.write_bytes(b"other classes")
    assert fingerprint(java, str(jar)) != before


def test_a_start_that_must_not_write_uses_what_there_is_or_nothing(tmp_path: Path, java: Path, jar: Path) -> None:
    data = classes(tmp_path)
    assert data.options("kafka", java, str(jar), write=False) == ()
    draft_of(data.options("kafka", java, str(jar))).write_bytes(WHOLE)
    data.adopt()
    assert data.options("kafka", java, str(jar), write=False)[0].startswith("-XX:SharedArchiveFile=")


def test_in_an_installation_of_somebody_else_nothing_is_written(tmp_path: Path, java: Path, jar: Path) -> None:
    data = ClassData(tmp_path / "one", tmp_path / "nowhere" / "archives")
    assert data.options("kafka", java, str(jar)) == ()
