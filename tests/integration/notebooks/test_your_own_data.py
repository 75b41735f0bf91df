"""`your_own_data` replays its example on a stack of its own, finds what is wrong with it, and stops the stack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.processes import marked, sweep
from tests.support.notebooks import pictures, printed, read_notebook, run_notebook

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "own-data"
    yield folder
    sweep(folder)


def put_into(notebook: object, folder: Path) -> None:
    """Have the notebook work in a folder of the test's."""
    (first,) = [cell for cell in notebook.cells if "FOLDER = " in cell.source]  # type: ignore[attr-defined]
    for ours in ('PROJECT / "var" / "own-data"', 'PROJECT / "var" / "oven.csv"'):
        assert ours in first.source
        first.source = first.source.replace(ours, f"Path({str(folder.parent / Path(ours[:-1]).name)!r})")


@pytest.mark.timeout(600)
def test_the_example_is_replayed_judged_and_drawn(folder: Path) -> None:
    notebook = read_notebook("your_own_data")
    put_into(notebook, folder)
    run_notebook(notebook, timeout_s=500)
    said = printed(notebook)
    # The readings of ten days, but for the gap: none late, none lost.
    assert "2,850 readings, 2,850 judged in 960 windows, 0 late" in said
    for rule in ("unusual-value", "stuck", "gateway-silent", "drift"):
        assert f" {rule} " in said, said
    assert pictures(notebook) == 1
    assert marked(folder) == []
