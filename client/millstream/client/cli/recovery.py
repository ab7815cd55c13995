"""Options about what jobs start with: ``run`` and ``sql`` take the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from millstream.core.config import Configuration, options

F = TypeVar("F", bound=Callable[..., Any])


def recovery_options(command: F) -> F:
    """The command gets ``from_savepoint``, ``claim`` and ``allow_non_restored_state`` for ``with_recovery``."""
    for option in (
        click.option("--allow-non-restored-state", is_flag=True, help="Leave behind state of operators that are gone."),
        click.option(
            "--claim/--no-claim",
            default=None,
            help="Whether the job owns what it starts from, and deletes it when a newer checkpoint is complete.",
        ),
        click.option(
            "--from-savepoint",
            metavar="PATH",
            help="Start from the state of this savepoint or checkpoint: a directory or a URL.",
        ),
    ):
        command = option(command)
    return command


def with_recovery(
    configuration: Configuration, from_savepoint: str | None, claim: bool | None, allow_non_restored_state: bool
) -> Configuration:
    """``configuration`` with the settings that these options stand for."""
    if from_savepoint is not None:
        from millstream.core.checkpoint.storage import absolute_location

        path = absolute_location(from_savepoint)
        configuration = configuration.with_values({options.STATE_RECOVERY_PATH.key: path}, "--from-savepoint")
    if claim is not None:
        key = options.STATE_RECOVERY_CLAIM_MODE.key
        configuration = configuration.with_values({key: "CLAIM" if claim else "NO_CLAIM"}, "--claim")
    if allow_non_restored_state:
        key = options.STATE_RECOVERY_IGNORE_UNCLAIMED.key
        configuration = configuration.with_values({key: True}, "--allow-non-restored-state")
    return configuration
