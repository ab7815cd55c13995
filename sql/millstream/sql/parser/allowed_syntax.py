"""Refuses by name what sqlglot reads and Flink SQL does not have.

The parser underneath knows many dialects. What is not in the tables below is an error, so that no clause is ever read
and then ignored.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from millstream.sql.parser.errors import SqlParseError
from millstream.sql.parser.query_nodes import TableArgument, TypedLiteral

_QUERY_PARTS: Final = ("with_", "order", "limit", "offset")

ALLOWED: Final[dict[type[exp.Expr], tuple[str, ...]]] = {
    exp.Select: (
        *_QUERY_PARTS, "hint", "distinct", "expressions", "from_", "joins", "where", "group", "having", "qualify",
        "windows",
    ),
    exp.Union: (*_QUERY_PARTS, "this", "expression", "distinct"),
    exp.Intersect: (*_QUERY_PARTS, "this", "expression", "distinct"),
    exp.Except: (*_QUERY_PARTS, "this", "expression", "distinct"),
    exp.Subquery: (*_QUERY_PARTS, "this", "alias", "joins"),
    exp.Values: (*_QUERY_PARTS, "expressions", "alias"),
    exp.With: ("expressions",),
    exp.CTE: ("this", "alias"),
    exp.From: ("this",),
    exp.Join: ("this", "side", "kind", "method", "on", "using"),
    exp.Table: ("this", "db", "catalog", "alias", "hints", "version", "pattern_match", "joins"),
    exp.TableAlias: ("this", "columns"),
    exp.Lateral: ("this", "alias"),
    exp.Unnest: ("expressions", "alias", "offset"),
    exp.Version: ("this", "kind", "expression"),
    exp.Hint: ("expressions",),
    TableArgument: ("this", "partition_by", "order"),
    exp.MatchRecognize: (
        "partition_by", "order", "measures", "rows", "after", "pattern", "within", "define", "alias",
    ),
    exp.MatchRecognizeMeasure: ("this", "window_frame"),
    exp.Where: ("this",), exp.Having: ("this",), exp.Qualify: ("this",),
    exp.Group: ("expressions",),
    exp.GroupingSets: ("expressions",), exp.Cube: ("expressions",), exp.Rollup: ("expressions",),
    exp.Order: ("this", "expressions"),
    exp.Ordered: ("this", "desc", "nulls_first"),
    exp.Limit: ("expression",), exp.Offset: ("expression",),
    exp.Fetch: ("direction", "count", "limit_options"),
    exp.LimitOptions: ("rows",),
    exp.Distinct: ("expressions",),
    exp.Window: ("this", "partition_by", "order", "spec", "alias", "over"),
    exp.WindowSpec: ("kind", "start", "start_side", "end", "end_side"),
    exp.Filter: ("this", "expression"), exp.WithinGroup: ("this", "expression"),
    exp.IgnoreNulls: ("this",), exp.RespectNulls: ("this",),
    exp.Column: ("this", "table", "db", "catalog"),
    exp.Identifier: ("this", "quoted"), exp.Star: (), exp.Alias: ("this", "alias"),
    exp.UnicodeString: ("this", "escape"),
    exp.Literal: ("this", "is_string"), exp.HexString: ("this",), exp.Null: (), exp.Boolean: ("this",),
    TypedLiteral: ("this", "kind"), exp.Interval: ("this", "unit"), exp.IntervalSpan: ("this", "expression"),
    exp.Var: ("this",), exp.Anonymous: ("this", "expressions"), exp.Kwarg: ("this", "expression"),
    exp.Cast: ("this", "to"), exp.TryCast: ("this", "to"), exp.DataType: ("this", "kind"),
    exp.Case: ("this", "ifs", "default"), exp.If: ("this", "true"),
    exp.Paren: ("this",), exp.Tuple: ("expressions",), exp.Dot: ("this", "expression"),
    exp.Bracket: ("this", "expressions"),
    exp.Not: ("this",), exp.Neg: ("this",), exp.Exists: ("this",), exp.Any: ("this",), exp.All: ("this",),
    exp.In: ("this", "expressions", "query"), exp.Between: ("this", "low", "high", "symmetric"),
    exp.Escape: ("this", "expression"), exp.Is: ("this", "expression"), exp.JSON: ("this",),
    exp.DPipe: ("this", "expression", "safe"), exp.Div: ("this", "expression", "typed", "safe"),
    **dict.fromkeys(
        (
            exp.And, exp.Or, exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE,
            exp.NullSafeEQ, exp.NullSafeNEQ, exp.Like, exp.SimilarTo, exp.Overlaps,
        ),
        ("this", "expression"),
    ),
}  # fmt: skip
"""Nodes a query may hold, and which of their arguments may be set."""

_NAMES: Final = {
    "pivots": "PIVOT", "sample": "TABLESAMPLE", "into": "SELECT INTO", "locks": "FOR UPDATE", "all": "GROUP BY ALL",
    "totals": "WITH TOTALS", "rollup": "WITH ROLLUP", "cube": "WITH CUBE", "recursive": "WITH RECURSIVE",
    "except_": "SELECT * EXCEPT", "replace": "SELECT * REPLACE", "percent": "FETCH ... PERCENT",
    "with_ties": "FETCH ... WITH TIES", "exclude": "EXCLUDE", "on": "DISTINCT ON", "by_name": "BY NAME",
    "operation_modifiers": "this modifier of SELECT", "laterals": "LATERAL VIEW", "connect": "START WITH",
}  # fmt: skip


def refuse_unsupported(source: str, root: exp.Expr, start: int) -> None:
    """``SqlParseError`` for the first node or clause of ``root`` (which begins at ``start``) that Flink lacks."""
    for node in root.walk():
        allowed = ALLOWED.get(type(node))
        if allowed is None:
            raise SqlParseError.at_node(source, node, f"{_node_name(node)} is not supported", default=start)
        for argument, value in node.args.items():
            if argument not in allowed and value not in (None, False, []):
                name = _NAMES.get(argument, f"{_node_name(node)} with {argument.strip('_').replace('_', ' ')}")
                raise SqlParseError.at_node(source, node, f"{name} is not supported", default=start)
        if isinstance(node, exp.Order) and node.this is not None:
            raise SqlParseError.at_node(source, node, "ORDER BY inside a function is not supported", default=start)
        if isinstance(node, exp.Select) and not node.expressions:
            raise SqlParseError.at(source, start, "SELECT without expressions")
        if isinstance(node, exp.Group) and not node.args.get("expressions") and not node.args.get("all"):
            raise SqlParseError.at(source, start, "GROUP BY without expressions")
        if isinstance(node, exp.Alias) and isinstance(node.this, exp.Star):
            raise SqlParseError.at_node(source, node.args["alias"], "* cannot have a name", default=start)
        if isinstance(node, exp.Join) and (node.method or "NATURAL") not in ("NATURAL",):
            raise SqlParseError.at_node(source, node, f"{node.method} JOIN is not supported", default=start)


def _node_name(node: exp.Expr) -> str:
    text = type(node).__name__
    spaced = "".join(
        f" {letter}" if letter.isupper() and at and not text[at - 1].isupper() else letter
        for at, letter in enumerate(text)
    )
    return spaced.upper()
