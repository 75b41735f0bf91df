"""`first_look` runs from its beginning to its end on the shipped sample."""

import pytest

from deploy.local.layout import PROJECT
from tests.support.notebooks import pictures, printed, read_notebook, run_notebook

pytestmark = pytest.mark.integration


def test_it_draws_the_sample() -> None:
    notebook = read_notebook("first_look")
    (opening,) = [cell for cell in notebook.cells if "open_demo()" in cell.source]
    # Whatever demo runs in this clone is its user's.
    opening.source = "from notebooks.demo import DEMO\n" + opening.source.replace(
        "open_demo()", 'open_demo(DEMO / "none")'
    )
    run_notebook(notebook, timeout_s=120)
    assert pictures(notebook) == 3
    said = printed(notebook)
    assert "332 alerts and 200 simulated faults, from the shipped sample (no demo finished in var/demo/none" in said
    assert "200 of 200 faults found; missed: none" in said
    assert str(PROJECT) not in said
