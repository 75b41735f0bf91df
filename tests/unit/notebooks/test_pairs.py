"""Each notebook is a pair that says the same, without outputs and without the marks of a machine."""

import re
from pathlib import Path

import jupytext
import pytest
from jupytext.compare import compare_notebooks

FOLDER = Path(__file__).parents[3] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
SHIPPED = sorted(
    path
    for kind in ("*.py", "*.ipynb", "*.md", "sample/*.md", "sample/*.jsonl", "sample/*.csv")
    for path in FOLDER.glob(kind)
)


def test_both_are_there() -> None:
    assert NAMES == ["first_look", "your_own_data"]


@pytest.mark.parametrize("name", NAMES)
def test_the_pair_is_in_step(name: str) -> None:
    """If not: `jupytext --sync notebooks/*.ipynb`."""
    script, notebook = (jupytext.read(FOLDER / f"{name}.{suffix}") for suffix in ("py", "ipynb"))
    compare_notebooks(notebook, script, fmt="py:percent")
    assert notebook.metadata.jupytext.formats == script.metadata.jupytext.formats == "ipynb,py:percent"


@pytest.mark.parametrize("name", NAMES)
def test_there_are_no_outputs(name: str) -> None:
    cells = [cell for cell in jupytext.read(FOLDER / f"{name}.ipynb").cells if cell.cell_type == "code"]
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_nothing_names_a_place_on_a_machine(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users|private|opt|usr|mnt)/|[A-Z]:\\\\|\.venv/lib", text)
