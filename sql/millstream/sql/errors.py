"""What the binder and the planner refuse, with the syntax node that is the place.

They know nodes, not texts; whoever has the text turns a ``QueryError`` into the error that shows the line
(``parser.errors``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from millstream.core.errors import JobGraphError


class QueryError(JobGraphError):
    """A query that means nothing, or something that Millstream does not do. ``node`` is a ``sqlglot`` expression."""

    def __init__(self, message: str, node: Any = None) -> None:
        super().__init__(message)
        self.node = node


def query_error(message: str, node: Any = None) -> QueryError:
    return QueryError(message, node)


def unsupported(what: str, node: Any = None, instead: str = "") -> QueryError:
    """The error for something that SQL has and Millstream does not do."""
    return QueryError(f"{what} is not supported{'. ' + instead if instead else '.'}", node)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``" Did you mean 'x'?"``, or the empty text."""
    lowered = {candidate.lower(): candidate for candidate in sorted(set(known))}
    near = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return f" Did you mean {lowered[near[0]]!r}?" if near else ""
