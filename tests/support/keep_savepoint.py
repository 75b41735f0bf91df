"""Take a savepoint for later tests to restore: `python -m tests.support.keep_savepoint`.

Run it when the layout of the job's state changes, and commit what it writes beside the older ones. Every shipped
detector has learned by then, and some alerts are active.
"""

import shutil
import tempfile
from pathlib import Path

import msgspec

from connectors.rules.load import DEFAULT_RULES, load_rules
from connectors.wire.ruleset import RuleSet
from deploy.local.flink.submit import stop
from deploy.local.stack import Stack
from tests.support.fleet import fleet, names_on_all_shards
from tests.support.pipeline import SHARDS, STORES, Pipeline, pipeline_settings
from tests.support.traffic import LIMIT_RULES

KEPT = Path(__file__).parents[1] / "data" / "savepoints"
WINDOWS = 130
"""Longer than the longest warm-up of a shipped rule."""


def all_rules() -> RuleSet:
    """Return the shipped rules and the tests' limits as one set."""
    shipped = load_rules(DEFAULT_RULES)
    return msgspec.structs.replace(shipped, version=shipped.version + 1, rules=(*shipped.rules, *LIMIT_RULES.rules))


def main() -> None:
    """Run a small fleet through the pipeline, stop the job, and copy its savepoint."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Stack(pipeline_settings(folder), folder, print) as stack:
            stack.start(STORES)
            pipeline = Pipeline(stack, all_rules())
            pipeline.publish_rules()
            stack.start(["bridge", "job"])
            gateways = names_on_all_shards("kept", SHARDS)
            with fleet(stack.settings, folder, gateways, pipeline.next_start_ms(), WINDOWS) as one:
                one.wait_produced()
                one.wait_acknowledged()
                pipeline.wait_judged(one.end_ms)
            pipeline.close()
            taken = stop(stack.settings, print, by_hand=True)
            if taken is None:
                raise SystemExit("no job ran")
            number = len(list(KEPT.glob("*"))) + 1 if KEPT.exists() else 1
            target = KEPT / f"{number:03}"
            shutil.copytree(taken.removeprefix("file:"), target)
            print(f"kept in {target}: {sum(file.stat().st_size for file in target.iterdir())} bytes")


if __name__ == "__main__":
    main()
