"""Values that later changes of the original do not reach."""

from __future__ import annotations

import copy
from typing import Any, Final

_ATOMIC: Final = frozenset({int, float, str, bytes, bool, type(None)})


def frozen(content: Any) -> Any:
    """``content`` as a value that later changes of the original do not reach."""
    kind = type(content)
    if kind in _ATOMIC:
        return content
    if kind in (list, tuple) and _ATOMIC.issuperset(map(type, content)):
        return content if kind is tuple else content.copy()
    return copy.deepcopy(content)
