"""The detect job: `flink run -d --jarfile <connector> -py jobs/detect.py -pyfs var/job.zip -pyexec <python> -- …`.

Readings of a shard's window become alert transitions and one summary; what is late or can't be judged is kept apart.
"""

from jobs.environment import environment
from jobs.options import parse
from jobs.restore import check_restore
from jobs.starting import wait_for
from jobs.topology import build


def main() -> None:
    """Build the job, see that it fits the savepoint it resumes from, and hand it to Flink."""
    options = parse()
    plan = build(environment(options), options)
    check_restore(plan.environment)
    if options.start_after is not None:
        wait_for(options.start_after)
    plan.environment.execute(options.name)


if __name__ == "__main__":
    main()
