"""When the wall clock may be believed."""

from dataclasses import dataclass
from pathlib import Path

from deploy.raspberrypi.clock import EARLIEST_MS, BoardClock, elapsed_ms, kernel_synchronised

NOW_MS = 1_790_000_000_000


@dataclass
class Board:
    synchronised: bool = False
    wall_ms: int = NOW_MS
    boot: str = "boot-1"

    def clock(self, folder: Path, trust: bool = False) -> BoardClock:
        return BoardClock(
            trust, folder / "marker", lambda: self.synchronised, lambda: self.wall_ms, lambda: 5_000, lambda: self.boot
        )


def test_not_before_a_time_server_has_answered(tmp_path: Path) -> None:
    board = Board()
    clock = board.clock(tmp_path)
    assert not clock.usable()
    board.synchronised = True
    assert clock.usable()
    assert clock.offset_ms() == NOW_MS - 5_000


def test_a_network_that_goes_away_later_changes_nothing(tmp_path: Path) -> None:
    board = Board(synchronised=True)
    clock = board.clock(tmp_path)
    assert clock.usable()
    board.synchronised = False
    assert clock.usable()
    assert board.clock(tmp_path).usable(), "a restart of the process in the same boot"


def test_a_look_leaves_no_marker(tmp_path: Path) -> None:
    assert Board(synchronised=True).clock(tmp_path).usable(remember=False)
    assert not (tmp_path / "marker").exists()


def test_the_next_boot_begins_anew(tmp_path: Path) -> None:
    board = Board(synchronised=True)
    assert board.clock(tmp_path).usable()
    assert not Board(boot="boot-2").clock(tmp_path).usable()


def test_trusted_but_never_in_1970(tmp_path: Path) -> None:
    board = Board(wall_ms=12_345)
    clock = board.clock(tmp_path, trust=True)
    assert not clock.usable()
    board.wall_ms = EARLIEST_MS - 1
    assert not clock.usable()
    board.wall_ms = EARLIEST_MS
    assert clock.usable()


def test_a_clock_set_back_to_1970_is_not_believed_though_it_was_synchronised(tmp_path: Path) -> None:
    board = Board(synchronised=True)
    clock = board.clock(tmp_path)
    assert clock.usable()
    board.wall_ms = 0
    assert not clock.usable()


def test_a_marker_that_cant_be_written_or_read_stops_nothing(tmp_path: Path) -> None:
    board = Board(synchronised=True)
    assert board.clock(tmp_path / "no" / "folder").usable()
    (tmp_path / "marker").mkdir()
    assert board.clock(tmp_path).usable()


def test_this_machines_kernel_answers() -> None:
    assert kernel_synchronised() in {True, False}
    assert elapsed_ms() > 0
