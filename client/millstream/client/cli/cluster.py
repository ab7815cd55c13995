"""``millstream cluster start|stop|status``: a cluster of background processes on this machine."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from millstream.client.cli.exit_codes import ExitCode
from millstream.client.cli.settings import load_settings, output_option, require_jobmanager, settings_option
from millstream.client.cli.text_table import echo_json, echo_table, time_text
from millstream.client.daemons import ClusterStarter, RunningCluster, running_cluster, stop_cluster
from millstream.core.clock import SystemClock
from millstream.core.config import Configuration, options
from millstream.core.errors import UnavailableError

if TYPE_CHECKING:
    from millstream.proto.v1.jobmanager_pb2 import ClusterDetails

SLOTS_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.05


@click.group()
def command() -> None:
    """Start, stop or inspect a cluster on this machine.

    Process ids, logs and the address are kept in the directory that the setting cluster.directory names. While the
    cluster runs, 'millstream run', 'list' and 'cancel' find it there if no JobManager is configured.
    """


@command.command()
@click.option(
    "--jobmanagers",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="How many to start; one of several leads, the others stand by.",
)
@click.option("--taskmanagers", type=click.IntRange(1, 64), default=1, show_default=True, help="How many to start.")
@click.option("--slots", type=click.IntRange(1, 1024), help="Slots of each; default: the setting, else the cores.")
@settings_option
def start(jobmanagers: int, taskmanagers: int, slots: int | None, settings: tuple[str, ...]) -> None:
    """Start JobManagers and TaskManagers in the background."""
    configuration = load_settings(settings)
    slots = slots or options.number_of_task_slots(configuration)
    cluster = ClusterStarter(configuration, SystemClock(), wait_for_slots).start(taskmanagers, slots, jobmanagers)
    click.echo(f"Cluster started at {cluster.address}: {taskmanagers} TaskManagers with {slots} slots each.")
    click.echo(f"Logs: {cluster.directory}")
    click.echo(f"Run a job: millstream run SCRIPT   (elsewhere: millstream run --jobmanager {cluster.address} SCRIPT)")


@command.command()
@settings_option
def stop(settings: tuple[str, ...]) -> None:
    """Stop the cluster that 'start' started."""
    stopped = stop_cluster(load_settings(settings), SystemClock())
    click.echo(f"Cluster at {stopped.address} stopped." if stopped else "No cluster was running.")


@command.command()
@output_option
@settings_option
def status(output: str, settings: tuple[str, ...]) -> int:
    """Show the cluster: processes, TaskManagers, slots. Exit code 3 if there is none."""
    configuration = load_settings(settings)
    started = running_cluster(configuration)
    details = describe(require_jobmanager(configuration))
    if output == "json":
        echo_json(as_json(details, started))
    else:
        show(details, started)
    return ExitCode.OK


def describe(configuration: Configuration) -> ClusterDetails:
    """Ask the JobManager."""
    from millstream.client.connection import ClusterConnection

    connection = ClusterConnection(configuration)
    try:
        return connection.describe_cluster()
    finally:
        connection.close()


def wait_for_slots(configuration: Configuration, slots: int) -> None:
    """Return when ``slots`` slots are ready to take subtasks."""
    from millstream.client.connection import ClusterConnection

    clock = SystemClock()
    deadline_s = clock.monotonic_s() + SLOTS_TIMEOUT_S
    pause = threading.Event()
    connection = ClusterConnection(configuration)
    try:
        while True:
            found = connection.describe_cluster().slots_free
            if found >= slots:
                return
            if clock.monotonic_s() > deadline_s:
                raise UnavailableError(
                    f"only {found} of {slots} slots became ready within {SLOTS_TIMEOUT_S:.0f} s; their logs "
                    f"in {configuration[options.CLUSTER_DIRECTORY]} say why."
                )
            pause.wait(POLL_INTERVAL_S)
    finally:
        connection.close()


def show(details: ClusterDetails, started: RunningCluster | None) -> None:
    """As text."""
    click.echo(f"JobManager {started.address if started else ''}, version {details.version}, ", nl=False)
    click.echo(f"since {time_text(details.started_ms)}, metrics {details.metrics_address or 'off'}")
    click.echo(f"{details.jobs_running} jobs running, {details.slots_free} of {details.slots_total} slots free")
    click.echo("")
    rows = [
        [
            manager.taskmanager_id,
            manager.address,
            f"{manager.slots_free}/{manager.slots_total}",
            time_text(manager.last_heartbeat_ms),
            manager.metrics_address or "off",
        ]
        for manager in details.taskmanagers
    ]
    echo_table(["TASKMANAGER", "ADDRESS", "FREE SLOTS", "LAST HEARTBEAT", "METRICS"], rows)
    if started is not None:
        click.echo("")
        processes = [
            [daemon.role, str(daemon.pid), "running" if daemon.is_running() else "ended", str(started.log_of(daemon))]
            for daemon in started.daemons
        ]
        echo_table(["PROCESS", "PID", "STATE", "LOG"], processes)


def as_json(details: ClusterDetails, started: RunningCluster | None) -> dict[str, object]:
    """For ``--output json``."""
    return {
        "version": details.version,
        "started_ms": details.started_ms,
        "metrics_address": details.metrics_address,
        "jobs_running": details.jobs_running,
        "slots_total": details.slots_total,
        "slots_free": details.slots_free,
        "taskmanagers": [
            {
                "id": manager.taskmanager_id,
                "address": manager.address,
                "slots_total": manager.slots_total,
                "slots_free": manager.slots_free,
                "last_heartbeat_ms": manager.last_heartbeat_ms,
                "version": manager.version,
                "metrics_address": manager.metrics_address,
            }
            for manager in details.taskmanagers
        ],
        "address": started.address if started else None,
        "processes": [
            {"role": daemon.role, "pid": daemon.pid, "running": daemon.is_running(), "log": str(started.log_of(daemon))}
            for daemon in started.daemons
        ]
        if started
        else [],
    }


COMMANDS = {"cluster": command}
