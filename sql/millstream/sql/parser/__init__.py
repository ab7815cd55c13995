"""Flink SQL text to statements.

``parse_script`` gives the statements of a text (``statements.py``), each with its place; queries and expressions in
them are sqlglot nodes. sqlglot rewrites nothing here: functions keep their names, types are ours. What a construct is:

===============================================  =====================================================================
``f(a, b)``                                      ``Anonymous(this="f", expressions=[a, b])``, name as written;
                                                 ``cat.db.f(a)`` is ``Dot(Identifier..., Anonymous)``;
                                                 a quoted name is an ``Identifier`` in ``this``
``CURRENT_TIMESTAMP``, ``LOCALTIME``, ...        ``Anonymous`` without arguments
``f(name => value)``                             ``Kwarg(this=Var, expression)`` among the arguments
``f(DISTINCT a, b)``                             ``Anonymous(this="f", expressions=[Distinct(expressions=[a, b])])``
``COUNT(*)``                                     ``Anonymous("COUNT", [Star()])``
``f(x) FILTER (WHERE c)``                        ``Filter(this=f(x), expression=Where(this=c))``
``f(x) OVER (...)``, ``OVER w``                  ``Window(this=f(x) or Filter, partition_by, order, spec=WindowSpec)``,
                                                 ``Window(this, alias=w)``; the WINDOW clause is ``windows`` of Select
``WindowSpec``                                   kind ROWS/RANGE, start/end "UNBOUNDED", "CURRENT ROW" or a node,
                                                 start_side/end_side PRECEDING or FOLLOWING
``f(x) IGNORE NULLS``                            ``IgnoreNulls(this=f(x))``; inside the parentheses around the argument
``ROW(a)``, ``ARRAY[a]``, ``MAP[k, v]``          ``Anonymous`` named ROW, ARRAY, MAP; ``(a, b)`` is ``Tuple``
``x[1]``, ``m['k']``                             ``Bracket(this, expressions=[index])``, index as written (from 1)
``a.b.c``                                        ``Column(this=c, table=b, db=a)``, up to four names, then ``Dot``
``x[1].y``                                       ``Dot(this=Bracket, expression=Identifier)``
``CAST``, ``TRY_CAST``                           ``Cast(this, to)``, ``TryCast``; ``parse_type(node.args["to"])``
``DATE '...'``, TIME, TIMESTAMP                  ``TypedLiteral(this=Literal, kind="DATE")`` (query_nodes)
``INTERVAL '1-2' YEAR TO MONTH``                 ``Interval(this=Literal, unit=Var or IntervalSpan(Var, Var))``;
                                                 ``INTERVAL -'1' DAY`` is the literal "-1"
``X'4142'``                                      ``HexString(this="4142")``
``U&'\\00e4'``                                   ``UnicodeString(this="\\00e4", escape=...)``
EXTRACT, TRIM, FLOOR(t TO u), JSON_VALUE, ...    ``Anonymous`` with plain arguments, see ``function_forms``
``a IS [NOT] NULL``, TRUE, FALSE                 ``Is(this, Null() or Boolean)``, in ``Not`` when negated
``a IS UNKNOWN``, ``a IS JSON OBJECT``           ``Is(this, Var("UNKNOWN"))``, ``Is(this, JSON(this="OBJECT"))``
``a IS [NOT] DISTINCT FROM b``                   ``NullSafeNEQ``, ``NullSafeEQ``
``NOT LIKE``, ``NOT IN``, ``NOT BETWEEN``        ``Not`` of ``Like``, ``In``, ``Between`` (``symmetric``)
``LIKE p ESCAPE e``                              ``Escape(this=Like, expression=e)``
``a IN (1, 2)``, ``a IN (query)``                ``In(this, expressions)``, ``In(this, query=Subquery)``
``EXISTS (query)``, ``= ANY (query)``            ``Exists(this=query)``, ``EQ(a, Any(this=query))``
``a || b``                                       ``DPipe``
``CASE``                                         ``Case(this, ifs=[If(this, true)], default)``
``FROM TABLE(f(...)) AS t``, ``FROM f(...)``     ``Table(this=Anonymous, alias)``
``TABLE t PARTITION BY a`` as argument           ``TableArgument(this=Table or Subquery, partition_by, order)``
``LATERAL TABLE(f(x)) AS t(a)``                  ``Lateral(this=Anonymous, alias=TableAlias(this, columns))``
``LATERAL (query)``                              ``Lateral(this=Subquery)``
``UNNEST(x) WITH ORDINALITY AS t(a, i)``         ``Unnest(expressions, alias with all columns, offset=True)``
``t FOR SYSTEM_TIME AS OF x``                    ``Table(version=Version(expression=x))``
``t /*+ OPTIONS('k'='v') */``                    ``Table(hints=[Hint(expressions=[Anonymous("OPTIONS", [EQ])])])``
``SELECT /*+ LOOKUP(...) */``                    ``Select(hint=Hint)``
``t MATCH_RECOGNIZE (...)``                      ``Table(pattern_match=MatchRecognize)``, WITHIN in ``args["within"]``
``FROM (VALUES (1)) AS t(a)``                    ``Values(expressions=[Tuple], alias)`` as the relation
``FROM (SELECT ...) AS t``                       ``Subquery(this, alias)``
``JOIN``                                         ``Join(this, side LEFT/RIGHT/FULL, kind CROSS/INNER/OUTER/SEMI/ANTI,
                                                 method NATURAL, on, using)``; a comma is a Join without any of them
``GROUP BY GROUPING SETS ((a, b), a, ())``       ``Group(expressions=[GroupingSets([Tuple, Paren or a node, ...])])``,
                                                 ``Cube``, ``Rollup`` among the expressions as written
``ORDER BY a DESC``                              ``Ordered(this, desc, nulls_first)``; without NULLS FIRST or LAST,
                                                 nulls_first as Flink has it: first ascending, last descending
``LIMIT``, ``FETCH``, ``OFFSET``                 ``limit`` of the query: ``Limit(expression)`` or ``Fetch(count)``;
                                                 ``offset``: ``Offset(expression)``
``a UNION [ALL] b``                              ``Union(this, expression, distinct)``, Intersect, Except; INTERSECT
                                                 binds tighter and stands in a Subquery
===============================================  =====================================================================

Nodes know their place: ``errors.offset_of(node)``, ``SqlValidationError.at_node(source, node, ...)``.
"""

from millstream.sql.parser.dialect import FlinkDialect
from millstream.sql.parser.errors import Position, SqlError, SqlParseError, SqlValidationError, offset_of
from millstream.sql.parser.script import parse_script, parse_statement
from millstream.sql.parser.types import parse_type

__all__ = [
    "FlinkDialect",
    "Position",
    "SqlError",
    "SqlParseError",
    "SqlValidationError",
    "offset_of",
    "parse_script",
    "parse_statement",
    "parse_type",
]
