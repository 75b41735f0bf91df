"""Takes `notebooks/sample` from a finished demo whose InfluxDB runs: `python -m notebooks.take_sample [FOLDER]`."""

import sys
from pathlib import Path

from notebooks.demo import DEMO, SAMPLE, running_demo, write_sample
from notebooks.points import PointsError

LIMIT_BYTES = 300_000
"""What a clone of the project may be asked to carry for a picture."""


def main(folder: Path = DEMO) -> None:
    """Write the sample and say how large it is."""
    try:
        write_sample(running_demo(folder), SAMPLE)
    except PointsError as error:
        sys.exit(str(error))
    size = sum(path.stat().st_size for path in SAMPLE.iterdir())
    print(f"{SAMPLE}: {size:,} bytes")
    if size > LIMIT_BYTES:
        sys.exit(f"more than {LIMIT_BYTES:,}: keep fewer windows")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
