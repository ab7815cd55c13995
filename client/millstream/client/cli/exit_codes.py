"""Exit codes of the command, and which error means which."""

from __future__ import annotations

import enum

from millstream.core.errors import (
    AuthenticationError,
    ConfigError,
    MillstreamError,
    ProtocolVersionError,
    UnavailableError,
)


class ExitCode(enum.IntEnum):
    """What the shell sees."""

    OK = 0
    FAILED = 1
    """The job or the script failed, or was cancelled by someone else."""
    USAGE = 2
    """Wrong arguments or settings."""
    UNREACHABLE = 3
    """No cluster answers, or it refuses this client (secret, protocol version)."""
    INTERRUPTED = 130
    """Ctrl-C."""


MEANINGS = {
    ExitCode.OK: "success",
    ExitCode.FAILED: "the job or the script failed",
    ExitCode.USAGE: "wrong arguments or settings",
    ExitCode.UNREACHABLE: "the cluster cannot be reached or refuses this client",
    ExitCode.INTERRUPTED: "interrupted; the job was cancelled",
}


def exit_code_of(error: MillstreamError) -> ExitCode:
    """The exit code for an error that reached the command."""
    if error.job_id:
        return ExitCode.FAILED
    if isinstance(error, ConfigError):
        return ExitCode.USAGE
    if isinstance(error, UnavailableError | AuthenticationError | ProtocolVersionError):
        return ExitCode.UNREACHABLE
    return ExitCode.FAILED
