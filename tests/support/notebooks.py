"""Running a notebook from its beginning to its end, in a kernel of its own, and what it showed."""

import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "notebooks"


def read_notebook(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def run_notebook(notebook: Any, timeout_s: float) -> None:
    """Run every cell, as Jupyter would in the notebook's folder; a cell that fails raises with its traceback."""
    path = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # A user's settings are none of a test's.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
    client = NotebookClient(
        notebook, timeout=timeout_s, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute(env=kept | {"PYTHONPATH": path})


def printed(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def pictures(notebook: Any) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)
