from pathlib import Path

import pytest

from jobs.options import Options, parse


def test_every_parameter_is_a_flag() -> None:
    argv = "--bootstrap h:1 --window-ms 1 --disorder-ms 0 --shards 4 --parallelism 3 --checkpoint-ms 5 --checkpoint-dir file:///c"
    more = "--delivery low-latency --transactional-prefix p --kafka-properties k --start-ms 9 --start-after g --name n"
    assert parse(f"{argv} {more}".split()) == Options(
        "h:1", 1, 0, 4, 3, 5, "file:///c", "low-latency", "p", Path("k"), 9, Path("g"), "n"
    )


def test_without_flags_it_is_the_embedded_stack() -> None:
    assert parse([]) == Options()


@pytest.mark.parametrize(
    "argv", [["--window-ms", "0"], ["--disorder-ms", "-1"], ["--delivery", "maybe"], ["--shards", "x"]]
)
def test_what_is_wrong_ends_with_a_message(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(argv)
    assert ended.value.code == 2
    assert argv[0] in capsys.readouterr().err
