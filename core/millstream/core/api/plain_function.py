"""A plain function in the role of a function class: ``process(lambda value, ctx: ...)``.

Operators call the method they know (``function.process_element(value, ctx)``) and reach the user's function without a
call in between, so that it costs nothing and errors carry the user's name and line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core.api.functions import Function


class PlainFunction(Function):
    """Has each of ``methods`` as an attribute: ``PlainFunction(map1=f, map2=g)``."""

    def __init__(self, **methods: Callable[..., Any]) -> None:
        for name, function in methods.items():
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:
        # Reached for missing attributes only; tells type checkers that there are others.
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def __repr__(self) -> str:
        return f"PlainFunction({', '.join(vars(self))})"
