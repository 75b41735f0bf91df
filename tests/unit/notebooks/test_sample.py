"""The shipped sample: small, of known origin, and what the tool would write again."""

from pathlib import Path

import numpy as np
import pytest

from deploy.demo.plan import GRID_MS
from deploy.demo.recordings import MACHINE
from notebooks.demo import SAMPLE, Demo, fault_of, open_demo, running_demo, shown_faults, write_sample
from notebooks.points import Alert, PointsError
from notebooks.take_sample import LIMIT_BYTES
from simulators.truth import FAULT_KINDS, Fault


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return open_demo(tmp_path / "no-demo")


def test_without_a_demo_the_sample_is_taken_and_that_is_said(demo: Demo) -> None:
    assert demo.origin.startswith("the shipped sample (no demo finished in ")
    assert demo.origin.endswith("; make demo KEEP=1 runs one)")


def test_a_demo_that_did_not_finish_is_none(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('[influxdb]\nurl = "http://127.0.0.1:9"\nbucket = "tidemark"\n')
    with pytest.raises(PointsError, match="no demo finished"):
        running_demo(tmp_path)
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(PointsError, match="does not answer"):
        running_demo(tmp_path)


def test_it_is_small_and_says_whence_it_is() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < LIMIT_BYTES <= 300_000
    about = (SAMPLE / "README.md").read_text()
    assert "Numenta Anomaly Benchmark" in about
    assert "MIT" in about
    licence = SAMPLE / "../../deploy/demo/data/LICENSE-NAB.txt"
    assert "deploy/demo/data/LICENSE-NAB.txt" in about
    assert licence.resolve().exists()


def test_written_again_it_is_the_same_to_the_byte(demo: Demo, tmp_path: Path) -> None:
    write_sample(demo, tmp_path / "again")
    written = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    assert set(written) == {path.name for path in SAMPLE.iterdir()} - {"README.md"}
    assert all((SAMPLE / name).read_bytes() == content for name, content in written.items())


def test_it_holds_what_the_notebook_draws(demo: Demo) -> None:
    machine = demo.windows(*MACHINE.key)
    assert machine.start_ms.size > 7_000
    assert (machine.start_ms % GRID_MS == 0).all()
    assert np.isfinite(machine.mean).all()
    zoomed = shown_faults(demo.faults)
    assert [fault.kind for fault in zoomed] == list(FAULT_KINDS)
    for fault in zoomed:
        near = demo.windows(fault.gateway, fault.device, fault.quantity)
        assert near.between(fault.start_ms - 48 * GRID_MS, fault.start_ms).start_ms.size == 48
        assert any(fault_of(alert, [fault]) for alert in demo.alerts), fault


def test_an_alert_belongs_to_the_fault_in_which_or_soon_after_which_it_was_raised() -> None:
    fault = Fault(gateway="g", device="d", quantity="q", kind="shift", start_ms=10 * GRID_MS, end_ms=12 * GRID_MS)

    def found(window: int, device: str = "d") -> Fault | None:
        alert = Alert("g", device, "q", "drift", "high", window * GRID_MS, None, None, None)
        return fault_of(alert, [fault])

    assert [found(window) is fault for window in (9, 10, 13, 14)] == [False, True, True, False]
    assert found(11, "other") is None
