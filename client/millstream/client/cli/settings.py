"""Options that many commands take: settings (``-D``), the JobManager, the format of the output."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from millstream.core.config import Configuration, find_file, load, options
from millstream.core.errors import ConfigError
from millstream.core.ha.settings import addresses, names_jobmanager

F = TypeVar("F", bound=Callable[..., Any])

JOBMANAGER_ORIGIN = "--jobmanager"
STARTED_CLUSTER_ORIGIN = "millstream cluster start"


def settings_option(command: F) -> F:
    """``-D key=value``, repeatable; the command gets ``settings``, a tuple of texts."""
    return click.option(
        "-D", "settings", multiple=True, metavar="KEY=VALUE", help="Set a setting; see 'millstream config'."
    )(command)


def jobmanager_option(command: F) -> F:
    """``-m``/``--jobmanager HOST:PORT``; the command gets ``jobmanager``."""
    return click.option("-m", "--jobmanager", metavar="HOST:PORT", help="The JobManager to talk to.")(command)


def output_option(command: F) -> F:
    """``--output text|json``."""
    return click.option(
        "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Format of the output."
    )(command)


def load_settings(settings: tuple[str, ...], jobmanager: str | None = None) -> Configuration:
    """Defaults, file, environment, ``-D``, ``--jobmanager``; ``ConfigError`` for what does not fit."""
    overrides: dict[str, object] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"-D {text}: expected -D KEY=VALUE, for example -D parallelism.default=4.")
        overrides[key.strip()] = value.strip()
    configuration = load(find_file(os.environ, Path.cwd()), os.environ, overrides)
    if jobmanager is None:
        return configuration
    found = with_jobmanager(configuration, jobmanager)
    return found.with_values({options.HA_TYPE.key: "NONE"}, JOBMANAGER_ORIGIN)  # not where another cluster's leader is


def with_jobmanager(configuration: Configuration, address: str, origin: str = JOBMANAGER_ORIGIN) -> Configuration:
    """``configuration`` that leads to the JobManager at ``address``, ``HOST:PORT`` or ``HOST``, or at several ones."""
    if "," in address:
        found = configuration.with_values({options.JOBMANAGER_RPC_ADDRESS.key: address}, origin)
        addresses(found)  # each is one
        return found
    host, colon, port = address.rpartition(":")
    if not colon:
        host, port = address, configuration.text(options.JOBMANAGER_RPC_PORT.key)
    if not host or not port.isdigit():
        raise ConfigError(f"{origin} {address}: expected HOST:PORT, for example 127.0.0.1:6123.")
    return configuration.with_values(
        {options.JOBMANAGER_RPC_ADDRESS.key: host, options.JOBMANAGER_RPC_PORT.key: port}, origin
    )


def with_started_cluster(configuration: Configuration) -> Configuration:
    """If no JobManager is configured, lead to the one that ``millstream cluster start`` started, if it runs."""
    if names_jobmanager(configuration):
        return configuration
    from millstream.client.daemons import running_cluster

    running = running_cluster(configuration)
    if running is None:
        return configuration
    found = with_jobmanager(configuration, running.address, STARTED_CLUSTER_ORIGIN)
    return found.with_values(running.settings, STARTED_CLUSTER_ORIGIN)


def require_jobmanager(configuration: Configuration) -> Configuration:
    """For commands that only make sense with a cluster: a started one, else the default address."""
    found = with_started_cluster(configuration)
    if not names_jobmanager(found):
        return with_jobmanager(found, options.jobmanager_address(found), "default")
    return found
