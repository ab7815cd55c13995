"""The tree of errors, with whose fault each is and whether trying again can help.

::

    MillstreamError                 blame, retry
    ├── UserError                   USER, NEVER       the program or its settings must change
    │   ├── ConfigError                               a setting is unknown, mistyped or contradictory
    │   ├── JobGraphError                             the program describes no valid job
    │   ├── PicklingError                             a function holds something that cannot travel
    │   ├── UserCodeError       USER, BACKOFF         a user's function raised on a record
    │   ├── RecordTypeError                           a value does not have the type the stream promises
    │   └── MalformedRecordError                      bytes of an input do not parse (file, line)
    ├── ExternalError               EXTERNAL, BACKOFF something outside: network, disk, another process
    │   ├── UnavailableError                          nobody answers at an address
    │   │   └── NotLeaderError                        a JobManager that stands by; another one leads
    │   ├── TaskManagerLostError                      a TaskManager vanished
    │   ├── SlotDiedError                             a slot process ended (signal or exit code named)
    │   ├── InsufficientSlotsError                    the cluster has too few slots
    │   └── CheckpointError                           a checkpoint cannot be written, read or restored
    │       ├── DamagedStateError   NEVER             its files are not what was written
    │       ├── IncompatibleStateError  NEVER         it does not fit the program
    │       ├── UnsavableStateError USER, NEVER       a value in state cannot be saved
    │       └── FencedError         NEVER             another leader has taken over
    ├── AuthenticationError         USER, NEVER       wrong or missing cluster secret
    ├── ProtocolVersionError        USER, NEVER       the peer speaks another protocol version
    └── InvariantViolation          INTERNAL, NEVER   Millstream broke its own promise

A component decides by ``blame`` and ``retry``, never by the text. Over the wire an error is its class name and the
fields below (``ErrorInfo`` in ``common.proto``, conversion in ``millstream.core.rpc.error_info``).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar


class Blame(enum.Enum):
    """Whose fault an error is."""

    USER = "USER"
    EXTERNAL = "EXTERNAL"
    INTERNAL = "INTERNAL"


class Retry(enum.Enum):
    """Whether the same action can succeed later."""

    NEVER = "NEVER"
    BACKOFF = "BACKOFF"


@dataclass(frozen=True)
class ErrorPlace:
    """Where a user finds the cause. Every field may be empty; ``line`` counts from 1, 0 is unknown."""

    operator: str = ""
    function: str = ""
    file: str = ""
    line: int = 0
    record: str = ""
    """A preview of the record, at most a few hundred characters."""
    user_traceback: str = ""
    """The user's own frames only."""


class MillstreamError(Exception):
    """Base of all errors that Millstream raises on purpose.

    ``str(error)`` is a whole message for a user: what happened, where, and what to do next.
    """

    blame: ClassVar[Blame] = Blame.INTERNAL
    retry: ClassVar[Retry] = Retry.NEVER

    def __init__(self, message: str, *, place: ErrorPlace | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place or ErrorPlace()
        self.job_id = ""
        """The job that failed because of it; empty when a call failed."""

    def __str__(self) -> str:
        return self.message


class UserError(MillstreamError):
    blame = Blame.USER


class ConfigError(UserError):
    pass


class JobGraphError(UserError):
    pass


class PicklingError(UserError):
    pass


class UserCodeError(UserError):
    """A user's function raised. Retried like Flink does: the cause may be outside (a lookup that timed out)."""

    retry = Retry.BACKOFF


class RecordTypeError(UserError):
    pass


class MalformedRecordError(UserError):
    pass


class ExternalError(MillstreamError):
    blame = Blame.EXTERNAL
    retry = Retry.BACKOFF


class UnavailableError(ExternalError):
    pass


class NotLeaderError(UnavailableError):
    """A JobManager refused a call, of which it did nothing, because it does not lead."""

    def __init__(self, message: str, *, place: ErrorPlace | None = None, leader: str = "") -> None:
        """``leader``: ``host:port`` of the one that leads, if known."""
        super().__init__(message, place=place)
        self.leader = leader


class TaskManagerLostError(ExternalError):
    pass


class SlotDiedError(ExternalError):
    pass


class InsufficientSlotsError(ExternalError):
    pass


class CheckpointError(ExternalError):
    """A checkpoint or savepoint that cannot be written, read or restored."""


class DamagedStateError(CheckpointError):
    """What a checkpoint or savepoint holds is missing or not what was written; trying again changes nothing."""

    retry = Retry.NEVER


class IncompatibleStateError(CheckpointError):
    """A saved state does not fit the program that is to go on with it; trying again changes nothing."""

    retry = Retry.NEVER


class UnsavableStateError(CheckpointError):
    """A function keeps a value in state that cannot be saved, such as a lock; every checkpoint would find it."""

    blame = Blame.USER
    retry = Retry.NEVER


class FencedError(CheckpointError):
    """Another JobManager leads, or has taken the job over: this one must write, order and commit nothing more."""

    retry = Retry.NEVER


class AuthenticationError(MillstreamError):
    blame = Blame.USER


class ProtocolVersionError(MillstreamError):
    blame = Blame.USER


class InvariantViolation(MillstreamError):
    pass


def invariant(holds: bool, story: str) -> None:
    """Raise ``InvariantViolation`` with ``story`` (both values, and what was being done) unless ``holds``."""
    if not holds:
        raise InvariantViolation(f"invariant violated: {story}. This is a defect of Millstream; please report it.")
