"""``millstream jobmanager`` and ``millstream taskmanager``: become the server, with the settings of the command line.

The process image is replaced, so signals and the process id are the server's own. Settings travel in the environment.
"""

from __future__ import annotations

import os
import sys

import click

from millstream.client.cli.settings import load_settings, settings_option, with_jobmanager
from millstream.core.config import Configuration, options
from millstream.core.config.loading import environment_without_settings


@click.command()
@click.option("--address-file", type=click.Path(dir_okay=False), help="Write HOST:PORT there when it listens.")
@settings_option
def jobmanager(address_file: str | None, settings: tuple[str, ...]) -> None:
    """Run a JobManager in the foreground until SIGTERM or Ctrl-C."""
    arguments = ["--address-file", address_file] if address_file else []
    become("millstream.jobmanager", arguments, load_settings(settings))


@click.command()
@click.option("--slots", type=click.IntRange(1, 1024), help="Slots (processes); default: the setting, else the cores.")
@click.option("-m", "--jobmanager", "address", metavar="HOST:PORT", help="The JobManager to register at.")
@settings_option
def taskmanager(slots: int | None, address: str | None, settings: tuple[str, ...]) -> None:
    """Run a TaskManager in the foreground until SIGTERM or Ctrl-C."""
    configuration = load_settings(settings)
    if address:
        configuration = with_jobmanager(configuration, address)
    if slots is not None:
        configuration = configuration.with_values({options.TASKMANAGER_NUMBER_OF_TASK_SLOTS.key: slots}, "--slots")
    become("millstream.taskmanager", [], configuration)


def become(module: str, arguments: list[str], configuration: Configuration) -> None:
    """Replace this process by ``python -m module``. Does not return."""
    inherited = environment_without_settings()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(
        sys.executable,
        [sys.executable, "-P", "-m", module, *arguments],
        {**inherited, **configuration.as_environment()},
    )


COMMANDS = {"jobmanager": jobmanager, "taskmanager": taskmanager}
