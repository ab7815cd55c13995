"""What messages call subtasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

NAMED_MAX: Final = 4


def subtask_name(name: str, index: int, parallelism: int) -> str:
    """``map -> sink (2/4)``; ``index`` counts from 0."""
    return f"{name} ({index + 1}/{parallelism})"


def shown_names(names: Sequence[str]) -> str:
    """Several of them; only the first ones of many."""
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return ", ".join(names[:NAMED_MAX]) + more
