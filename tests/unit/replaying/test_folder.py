"""A replay's folder is emptied before the next one; anybody else's is left alone."""

from pathlib import Path

import pytest

from connectors.kit.settings import Settings
from deploy.local.stack import StackError
from deploy.replaying.folder import MARK, take_folder


def take(folder: Path) -> None:
    take_folder(folder, Settings(), {"gateway": "own"})


def test_a_new_folder_is_made_and_marked(tmp_path: Path) -> None:
    take(tmp_path / "new" / "own-data")
    assert '"gateway": "own"' in (tmp_path / "new" / "own-data" / MARK).read_text()


def test_what_an_earlier_replay_left_is_gone_and_what_it_did_not_make_stays(tmp_path: Path) -> None:
    take(tmp_path)
    for name in ("data/kafka", "log", "outboxes", "mine"):
        (tmp_path / name).mkdir(parents=True)
    take(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", MARK]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(StackError, match="holds something that is no replay's; name a new folder for --own-stack"):
        take(tmp_path)
    assert (tmp_path / "data").exists()
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="holds something"):
        take(tmp_path / "file")
    with pytest.raises(StackError, match="below can't be written to: Not a directory"):
        take(tmp_path / "file" / "below")
