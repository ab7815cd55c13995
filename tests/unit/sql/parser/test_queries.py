"""Every construct of Flink's queries parses, and into the node that the package's docstring promises."""

import pytest
from sqlglot import exp

from millstream.sql.parser import parse_statement
from millstream.sql.parser.query_nodes import TableArgument, TypedLiteral
from millstream.sql.parser.statements import Query


def parse(text: str) -> exp.Expr:
    statement = parse_statement(text)
    assert isinstance(statement, Query)
    return statement.ast


def value(text: str) -> exp.Expr:
    return parse(f"SELECT {text} FROM t").expressions[0]


def shape(node: object) -> object:
    """A node in short: columns and literals as text, calls as (name, arguments...), the rest as class and arguments."""
    match node:
        case exp.Column():
            return ".".join(part.name for part in node.parts)
        case exp.Literal():
            return f"'{node.this}'" if node.is_string else node.this
        case exp.Var() | exp.Identifier():
            return node.name.join("<>") if isinstance(node, exp.Var) else node.name
        case exp.Star():
            return "*"
        case exp.DataType() if "kind" in node.args:
            return node.args["kind"]
        case exp.Anonymous():
            return (node.name, *map(shape, node.expressions))
        case exp.Expr():
            parts = [
                shape(value) for key, value in node.args.items() if value not in (None, False, []) and key != "safe"
            ]
            return (type(node).__name__, *parts)
        case list():
            return [shape(item) for item in node]
    return node


EXPRESSIONS = {
    "f(a, 'it''s', 1.5)": ("f", "a", "'it's'", "1.5"),
    "Length(a)": ("Length", "a"),
    "cat.db.f(a)": ("Dot", ("Dot", "cat", "db"), ("f", "a")),
    "COUNT(*)": ("COUNT", "*"),
    "COUNT(DISTINCT a, b)": ("COUNT", ("Distinct", ["a", "b"])),
    "LISTAGG(DISTINCT a, ',')": ("LISTAGG", ("Distinct", ["a", "','"])),
    "SUM(a) FILTER (WHERE b > 1)": ("Filter", ("SUM", "a"), ("Where", ("GT", "b", "1"))),
    "f(x => 1, y => 'a')": ("f", ("Kwarg", "<x>", "1"), ("Kwarg", "<y>", "'a'")),
    "CURRENT_TIMESTAMP": ("CURRENT_TIMESTAMP",),
    "current_date": ("CURRENT_DATE",),
    "`current_date`": "current_date",
    "NOW()": ("NOW",),
    "ROW(a, 1)": ("ROW", "a", "1"),
    "(a, 1)": ("Tuple", ["a", "1"]),
    "ARRAY[1, 2]": ("ARRAY", "1", "2"),
    "ARRAY[1, 2][1]": ("Bracket", ("ARRAY", "1", "2"), ["1"]),
    "MAP['k', v]": ("MAP", "'k'", "v"),
    "m['k']": ("Bracket", "m", ["'k'"]),
    "a.b.c": "a.b.c",
    "x[1].y": ("Dot", ("Bracket", "x", ["1"]), "y"),
    "CAST(a AS ROW<x INT, y ARRAY<STRING NOT NULL>>)": ("Cast", "a", "ROW<`x` INT, `y` ARRAY<STRING NOT NULL>>"),
    "TRY_CAST(a AS DECIMAL(10, 2))": ("TryCast", "a", "DECIMAL(10, 2)"),
    "DATE '2020-01-01'": ("TypedLiteral", "'2020-01-01'", "DATE"),
    "TIMESTAMP '2020-01-01 00:00:00'": ("TypedLiteral", "'2020-01-01 00:00:00'", "TIMESTAMP"),
    "INTERVAL '5' MINUTE": ("Interval", "'5'", "<MINUTE>"),
    "INTERVAL '5' MINUTES": ("Interval", "'5'", "<MINUTE>"),
    "INTERVAL -'5' DAY(3)": ("Interval", "'-5'", "<DAY>"),
    "INTERVAL '1-2' YEAR TO MONTH": ("Interval", "'1-2'", ("IntervalSpan", "<YEAR>", "<MONTH>")),
    "X'4142'": ("HexString", "4142"),
    "EXTRACT(YEAR FROM ts)": ("EXTRACT", "<YEAR>", "ts"),
    "SUBSTRING(a FROM 2 FOR 3)": ("SUBSTRING", "a", "2", "3"),
    "SUBSTRING(a, 2)": ("SUBSTRING", "a", "2"),
    "TRIM(a)": ("TRIM", "a"),
    "TRIM(LEADING 'x' FROM a)": ("TRIM", "<LEADING>", "'x'", "a"),
    "TRIM('x' FROM a)": ("TRIM", "<BOTH>", "'x'", "a"),
    "POSITION('a' IN b)": ("POSITION", "'a'", "b"),
    "OVERLAY(a PLACING b FROM 2 FOR 3)": ("OVERLAY", "a", "b", "2", "3"),
    "TIMESTAMPADD(DAY, 1, ts)": ("TIMESTAMPADD", "<DAY>", "1", "ts"),
    "TIMESTAMPDIFF(SECOND, a, b)": ("TIMESTAMPDIFF", "<SECOND>", "a", "b"),
    "FLOOR(ts TO HOUR)": ("FLOOR", "ts", "<HOUR>"),
    "CEIL(a)": ("CEIL", "a"),
    "JSON_VALUE(j, '$.a' RETURNING INT NULL ON EMPTY DEFAULT 1 ON ERROR)": (
        "JSON_VALUE",
        "j",
        "'$.a'",
        ("Kwarg", "<RETURNING>", "INT"),
        ("Kwarg", "<ON_EMPTY>", "<NULL>"),
        ("Kwarg", "<ON_ERROR>", "1"),
    ),
    "JSON_EXISTS(j, '$.a' TRUE ON ERROR)": ("JSON_EXISTS", "j", "'$.a'", ("Kwarg", "<ON_ERROR>", "<TRUE>")),
    "JSON_QUERY(j, '$' WITH ARRAY WRAPPER EMPTY ARRAY ON EMPTY)": (
        "JSON_QUERY",
        "j",
        "'$'",
        ("Kwarg", "<WRAPPER>", "<UNCONDITIONAL>"),
        ("Kwarg", "<ON_EMPTY>", "<EMPTY ARRAY>"),
    ),
    "JSON_OBJECT(KEY 'a' VALUE 1, 'b' VALUE x ABSENT ON NULL)": (
        "JSON_OBJECT",
        "'a'",
        "1",
        "'b'",
        "x",
        ("Kwarg", "<ON_NULL>", "<ABSENT>"),
    ),
    "JSON_OBJECT()": ("JSON_OBJECT",),
    "JSON_ARRAY(1, a NULL ON NULL)": ("JSON_ARRAY", "1", "a", ("Kwarg", "<ON_NULL>", "<NULL>")),
    "a IS NULL": ("Is", "a", ("Null",)),
    "a IS NOT NULL": ("Not", ("Is", "a", ("Null",))),
    "a IS NOT TRUE": ("Not", ("Is", "a", ("Boolean", True))),
    "a IS UNKNOWN": ("Is", "a", "<UNKNOWN>"),
    "a IS NOT JSON OBJECT": ("Not", ("Is", "a", ("JSON", "OBJECT"))),
    "a IS DISTINCT FROM b": ("NullSafeNEQ", "a", "b"),
    "a IS NOT DISTINCT FROM b": ("NullSafeEQ", "a", "b"),
    "a NOT LIKE 'x!%' ESCAPE '!'": ("Not", ("Escape", ("Like", "a", "'x!%'"), "'!'")),
    "a SIMILAR TO 'x'": ("SimilarTo", "a", "'x'"),
    "a NOT IN (1, 2)": ("Not", ("In", "a", ["1", "2"])),
    "a BETWEEN SYMMETRIC 1 AND 2": ("Between", "a", "1", "2", True),
    "a NOT BETWEEN 1 AND 2": ("Not", ("Between", "a", "1", "2")),
    "a || b": ("DPipe", "a", "b"),
    "-a * (b + 1) % 2": ("Mod", ("Mul", ("Neg", "a"), ("Paren", ("Add", "b", "1"))), "2"),
    "a OR b AND NOT c": ("Or", "a", ("And", "b", ("Not", "c"))),
    "CASE a WHEN 1 THEN 'x' ELSE 'y' END": ("Case", "a", [("If", "1", "'x'")], "'y'"),
    "IF(a, b, c)": ("IF", "a", "b", "c"),
    "LEFT(a, 1)": ("LEFT", "a", "1"),
    "LAST_VALUE(a) IGNORE NULLS OVER w": ("Window", ("IgnoreNulls", ("LAST_VALUE", "a")), "w", "OVER"),
    "(a, b) OVERLAPS (c, d)": ("Overlaps", ("Tuple", ["a", "b"]), ("Tuple", ["c", "d"])),
}


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS.items(), ids=list(EXPRESSIONS))
def test_an_expression_keeps_what_the_user_wrote(text: str, expected: object) -> None:
    assert shape(value(text)) == expected


def test_the_window_table_functions() -> None:
    table = parse("SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) AS w").args["from_"].this
    call = table.this
    assert (call.name, table.alias) == ("TUMBLE", "w")
    argument, column, size = call.expressions
    assert isinstance(argument, TableArgument)
    assert argument.this.name == "t"
    assert shape(column) == ("DESCRIPTOR", "ts")
    assert shape(size) == ("Interval", "'1'", "<MINUTE>")


def test_named_arguments_of_a_table_function() -> None:
    text = "SELECT * FROM HOP(DATA => TABLE a.t, TIMECOL => DESCRIPTOR(ts), SLIDE => INTERVAL '1' MINUTE)"
    call = parse(text).args["from_"].this.this
    assert [argument.this.name for argument in call.expressions] == ["DATA", "TIMECOL", "SLIDE"]
    assert isinstance(call.expressions[0].expression, TableArgument)


@pytest.mark.parametrize("keys", ["PARTITION BY a, b", "PARTITION BY (a, b)"])
def test_a_session_window_is_partitioned(keys: str) -> None:
    text = f"SELECT * FROM TABLE(SESSION(TABLE t {keys}, DESCRIPTOR(ts), INTERVAL '1' MINUTE))"
    call = parse(text).args["from_"].this.this
    assert shape(call.expressions[0].args["partition_by"]) == ["a", "b"]
    assert len(call.expressions) == 3


def test_joins() -> None:
    text = """
    SELECT * FROM o
    JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON o.c = r.c
    LEFT JOIN dim /*+ OPTIONS('a'='b') */ FOR SYSTEM_TIME AS OF o.p d ON TRUE
    CROSS JOIN UNNEST(o.arr) WITH ORDINALITY AS u (x, i)
    , LATERAL TABLE(f(o.x)) AS l (y)
    LEFT JOIN LATERAL (SELECT 1 AS z) AS s ON TRUE
    FULL OUTER JOIN p USING (a, b)
    LEFT SEMI JOIN q ON p.a = q.a
    """
    temporal, lookup, unnest, function, lateral, full, semi = parse(text).args["joins"]
    assert shape(temporal.this.args["version"].expression) == "o.ts"
    assert temporal.this.alias == "r"
    assert shape(lookup.this.args["hints"]) == [("Hint", [("OPTIONS", ("EQ", "'a'", "'b'"))])]
    assert (lookup.side, lookup.this.alias) == ("LEFT", "d")
    assert unnest.this.args["offset"] is True
    assert [column.name for column in unnest.this.args["alias"].columns] == ["x", "i"]
    assert isinstance(function.this, exp.Lateral)
    assert shape(function.this.this) == ("f", "o.x")
    assert isinstance(lateral.this.this, exp.Subquery)
    assert (full.side, shape(full.args["using"])) == ("FULL", ["a", "b"])
    assert (semi.side, semi.kind) == ("LEFT", "SEMI")


def test_hints_of_a_select() -> None:
    text = "SELECT /*+ BROADCAST(t1), STATE_TTL('a'='1d', 'b'='2d') LOOKUP('table'='d') */ a FROM t"
    assert shape(parse(text).args["hint"]) == (
        "Hint",
        [
            ("BROADCAST", "t1"),
            ("STATE_TTL", ("EQ", "'a'", "'1d'"), ("EQ", "'b'", "'2d'")),
            ("LOOKUP", ("EQ", "'table'", "'d'")),
        ],
    )


def test_frames_and_the_window_clause() -> None:
    text = """
    SELECT SUM(x) OVER (PARTITION BY a ORDER BY ts RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW),
           COUNT(*) OVER w
    FROM t WINDOW w AS (ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND 3 FOLLOWING)
    """
    select = parse(text)
    spec = select.expressions[0].args["spec"]
    assert (spec.args["kind"], spec.args["start_side"], spec.args["end"]) == ("RANGE", "PRECEDING", "CURRENT ROW")
    assert isinstance(spec.args["start"], exp.Interval)
    assert select.expressions[1].alias == "w"
    named = select.args["windows"][0]
    assert (named.name, named.args["spec"].args["start"]) == ("w", "UNBOUNDED")


def test_groups() -> None:
    group = parse("SELECT a FROM t GROUP BY a, GROUPING SETS ((a, b), a, ()), CUBE (c), ROLLUP (d, e)").args["group"]
    assert shape(group.expressions) == [
        "a",
        ("GroupingSets", [("Tuple", ["a", "b"]), "a", ("Tuple",)]),
        ("Cube", ["c"]),
        ("Rollup", ["d", "e"]),
    ]


def test_legacy_group_windows() -> None:
    select = parse("SELECT TUMBLE_START(ts, INTERVAL '1' HOUR) FROM t GROUP BY TUMBLE(ts, INTERVAL '1' HOUR), u")
    assert select.args["group"].expressions[0].name == "TUMBLE"


def test_intersect_binds_tighter_than_union() -> None:
    union = parse("SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 3 ORDER BY 1 DESC LIMIT 10 OFFSET 5")
    assert isinstance(union, exp.Union)
    assert union.args["distinct"] is False
    assert isinstance(union.expression.unnest(), exp.Intersect)
    assert shape(union.args["limit"]) == ("Limit", "10")
    assert shape(union.args["offset"]) == ("Offset", "5")


@pytest.mark.parametrize(
    ("text", "desc", "nulls_first"),
    [("a", None, True), ("a ASC", False, True), ("a DESC", True, False), ("a DESC NULLS FIRST", True, True),
     ("a NULLS LAST", None, False)],
)  # fmt: skip
def test_nulls_are_the_smallest_values(text: str, desc: bool | None, nulls_first: bool) -> None:
    ordered = parse(f"SELECT a FROM t ORDER BY {text}").args["order"].expressions[0]
    assert (ordered.args.get("desc"), ordered.args["nulls_first"]) == (desc, nulls_first)


@pytest.mark.parametrize(
    "text",
    [
        "VALUES (1, 'a'), (2, 'b')",
        "SELECT * FROM (VALUES (1, 'a')) AS t (x, y)",
        "TABLE t",
        "(SELECT 1) UNION (SELECT 2)",
        "WITH x AS (SELECT 1 AS a), y (b) AS (SELECT 2) SELECT * FROM x, y",
        "SELECT a FROM t ORDER BY ts OFFSET 3 ROWS FETCH NEXT 5 ROWS ONLY",
        "SELECT DISTINCT a FROM t NATURAL JOIN u",
        "SELECT * FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) <= 3",
        "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a) AND b IN (SELECT c FROM v)",
        "SELECT (SELECT MAX(x) FROM u) AS m, 1 = ANY (SELECT 2) FROM t",
        "SELECT `t`.`value`, index, type, format, comment, session, key, percent FROM `c`.`d`.`t` AS t",
        "SELECT a -- a comment\n FROM t /* another */ WHERE x > 1",
    ],
)
def test_other_queries_parse(text: str) -> None:
    assert isinstance(parse(text), exp.Query | exp.Values)


def test_pattern_matching_is_read_whole() -> None:
    text = """
    SELECT * FROM t MATCH_RECOGNIZE (
      PARTITION BY s ORDER BY ts MEASURES A.x AS ax, LAST(B.y) AS by_
      ONE ROW PER MATCH AFTER MATCH SKIP TO NEXT ROW PATTERN (A B+? C) WITHIN INTERVAL '1' HOUR
      DEFINE A AS A.x > 1, B AS B.x < 2
    ) AS m
    """
    match = parse(text).args["from_"].this.args["pattern_match"]
    assert (match.args["pattern"].name, match.args["after"].name, match.alias) == ("A B+? C", "TO NEXT ROW", "m")
    assert isinstance(match.args["within"], exp.Interval)


def test_typed_literals_have_their_own_node() -> None:
    assert isinstance(value("TIME '10:00:00'"), TypedLiteral)
