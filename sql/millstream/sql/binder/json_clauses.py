"""The clauses of JSON functions (RETURNING, ON EMPTY, ON ERROR, WRAPPER, ON NULL) as arguments of their calls.

The parser leaves a clause as ``exp.Kwarg`` behind the arguments; ``functions.json_read`` and ``json_make`` tell the
order in which calls take them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlglot import exp

from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Expression
from millstream.core.table.functions.registry import cast_call
from millstream.sql.binder.literals import null_literal, text_literal
from millstream.sql.parser.types import parse_type

JSON_CALLS: Final = frozenset({"JSON_VALUE", "JSON_QUERY", "JSON_EXISTS", "JSON_OBJECT", "JSON_ARRAY"})
_NULL: Final = "NULL"
Bind = Callable[[exp.Expr], Expression]


def json_arguments(name: str, nodes: list[exp.Expr], bind: Bind) -> tuple[str, list[Expression]]:
    """The function to call and its arguments, for a call of one of ``JSON_CALLS``."""
    clauses = {str(node.this.name): node.expression for node in nodes if isinstance(node, exp.Kwarg)}
    arguments = [bind(node) for node in nodes if not isinstance(node, exp.Kwarg)]
    if name == "JSON_VALUE" and clauses:
        returning = clauses.get("RETURNING")
        arguments.append(null_literal(lt.STRING if returning is None else parse_type(returning)))
        for clause in ("ON_EMPTY", "ON_ERROR"):
            arguments += _action(clauses.get(clause), bind)
    elif name == "JSON_QUERY" and clauses:
        wrapper = clauses.get("WRAPPER")
        arguments.append(text_literal("WITHOUT" if wrapper is None else wrapper.name))
        for clause in ("ON_EMPTY", "ON_ERROR"):
            chosen = clauses.get(clause)
            arguments.append(text_literal(_NULL if chosen is None else chosen.name))
    elif name == "JSON_EXISTS" and "ON_ERROR" in clauses:
        arguments.append(text_literal(clauses["ON_ERROR"].name))
    elif name in ("JSON_OBJECT", "JSON_ARRAY") and "ON_NULL" in clauses:
        name = _ON_NULL.get((name, clauses["ON_NULL"].name), name)
    return name, arguments


_ON_NULL: Final = {
    ("JSON_OBJECT", "ABSENT"): "JSON_OBJECT_ABSENT_ON_NULL",
    ("JSON_ARRAY", _NULL): "JSON_ARRAY_NULL_ON_NULL",
}
"""The other two combinations are what the functions do without a clause."""


def _action(chosen: exp.Expr | None, bind: Bind) -> list[Expression]:
    """What to do, and the value after DEFAULT as a text."""
    if chosen is None or isinstance(chosen, exp.Var):
        return [text_literal(_NULL if chosen is None else chosen.name), null_literal(lt.STRING)]
    return [text_literal("DEFAULT"), cast_call(bind(chosen), lt.STRING)]
