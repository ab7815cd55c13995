"""Which job this slot process serves, and the token that its data connections must know."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class JobAccess:
    """Empty until the slot gets a job; a slot process serves one job in its life."""

    job_id: str = ""
    job_token: bytes = field(default=b"", repr=False)
