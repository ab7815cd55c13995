"""What the binder asks of the session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlglot import exp

from millstream.core.table.expressions import Expression
from millstream.sql.binder.expressions import UserFunctions
from millstream.sql.plan.nodes import Node


class BinderServices(UserFunctions, Protocol):
    """Tables, views and functions by name."""

    batch: bool
    """``execution.runtime-mode = batch``: all input is bounded and only final results count."""

    def table(self, path: Sequence[str], node: exp.Expr, options: dict[str, str]) -> Node:
        """The plan of a table or view; ``options`` from a hint go over its own.

        Raises ``QueryError`` for an unknown name, with the nearest one.
        """
        ...

    def table_function(self, name: str) -> Any | None:
        """A user's table function; None when there is none of that name."""
        ...

    def table_function_row(self, function: Any, arguments: Sequence[Expression]) -> tuple[tuple[str, Any], ...]:
        """Names and types of the columns it makes."""
        ...
