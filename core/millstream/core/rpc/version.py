"""The version of the control protocol: of messages, services and their meaning.

Each call carries it as metadata. A server answers a call of another version with FAILED_PRECONDITION and both
versions, before it authenticates or decodes anything.
"""

from __future__ import annotations

from typing import Final

PROTOCOL_VERSION: Final = 1
PROTOCOL_KEY: Final = "millstream-protocol"


def mismatch_message(theirs: str, ours: int = PROTOCOL_VERSION) -> str:
    """What a refused caller is told."""
    return (
        f"protocol version mismatch: the caller speaks version {theirs or 'none'}, this server version {ours}. "
        f"Run the same release of Millstream on the client, the JobManager and the TaskManagers."
    )
