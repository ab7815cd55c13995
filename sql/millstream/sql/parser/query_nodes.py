"""Nodes of a parsed query that sqlglot has no node for."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp


class TypedLiteral(exp.Expression):
    """``DATE '...'``, ``TIME '...'``, ``TIMESTAMP '...'``: ``this`` is the string literal, ``kind`` the word."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "kind": True}


class TableArgument(exp.Expression):
    """``TABLE t [PARTITION BY ...] [ORDER BY ...]`` as the argument of a table function.

    ``this`` is an ``exp.Table`` or ``exp.Subquery``, ``partition_by`` a list, ``order`` an ``exp.Order``.
    """

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "partition_by": False, "order": False}
