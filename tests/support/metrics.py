"""Reading a service's /metrics."""

import urllib.request

TIMEOUT_S = 5.0
"""A service that stands still must not hang a test."""


def metric(port: int, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that carry these labels; 0 where there is none."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_S) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    found = [line for line in lines if line.split("{")[0].split(" ")[0] == name]
    return sum(float(line.rpartition(" ")[2]) for line in found if all(one in line for one in wanted))
