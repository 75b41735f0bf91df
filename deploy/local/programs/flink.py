"""Flink: a job manager and a task manager. How they are configured is in `deploy.local.flink`."""

import threading

from connectors.kit.settings import Settings
from deploy.local.classdata import ClassData
from deploy.local.flink.conf import FlinkCommands, metrics_ports, write_flink_conf
from deploy.local.health import check_http, check_task_managers
from deploy.local.layout import Layout
from deploy.local.part import Launch, Part
from deploy.local.ports import PortUse, split_address

STOP_S = 40.0
"""They end in a second; the first time they write their class data, which takes some ten on a busy machine."""


def flink_parts(settings: Settings, layout: Layout) -> list[Part]:
    """Return the two parts. They start together: a task manager waits for its job manager by itself."""
    rest = settings.flink.rest
    host, port = split_address(rest)

    # Both write the same files; one after the other, or one would read what the other has half written.
    lock = threading.Lock()
    written: list[FlinkCommands] = []

    def commands() -> FlinkCommands:
        with lock:
            if not written:
                written.append(write_flink_conf(settings, layout.data("flink"), ClassData(layout.class_data)))
            return written[0]

    job_manager = Part(
        name="jobmanager",
        launch=lambda: Launch(tuple((command := commands().job_manager).argv), command.env),
        check=lambda: check_http(f"http://{rest}/overview"),
        address=f"http://{rest}",
        ports=(
            PortUse("flink.rest", host, port),
            PortUse("stack.flink_rpc_port", host, settings.stack.flink_rpc_port),
            *(PortUse("stack.flink_metrics_port", host, number) for number in metrics_ports(settings)),
        ),
        stage=2,
        stop_s=STOP_S,
    )
    task_manager = Part(
        name="taskmanager",
        launch=lambda: Launch(tuple((command := commands().task_manager).argv), command.env),
        check=lambda: check_task_managers(rest, layout.pid_file("taskmanager")),
        stage=2,
        stop_s=STOP_S,
    )
    return [job_manager, task_manager]
