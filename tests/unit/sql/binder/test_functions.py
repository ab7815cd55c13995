"""The examples of the built-in functions, and the clauses of JSON functions, through Millstream's own parser."""

from collections.abc import Sequence
from typing import Any

import pytest

from millstream.core.table.expressions import Expression
from millstream.core.table.functions import registry
from millstream.core.table.row_type import RowType
from millstream.sql.binder.expressions import ExpressionBinder
from millstream.sql.binder.scope import Relation, Scope
from millstream.sql.parser.clauses import read_value
from millstream.sql.parser.token_cursor import TokenCursor, tokenize
from millstream.sql.plan.nodes import Node
from tests.unit.table.expression_text import printed


class NoFunctions:
    """No functions of the user's."""

    def bind_function(self, name: str, arguments: Sequence[Expression]) -> Expression | None:
        return None

    def aggregate_function(self, name: str) -> Any | None:
        return None

    def function_names(self) -> Sequence[str]:
        return ()


def bound(text: str) -> Expression:
    node, _ = read_value(TokenCursor(text, tokenize(text)))
    relation = Relation(Node(RowType(())), (), ())
    return ExpressionBinder(Scope(relation), NoFunctions()).bind(node)


EXAMPLES = [
    (text, answer)
    for _, functions in registry.themes()
    for function in functions
    for text, answer in function.examples
    if function.name != "OVERLAPS"  # written (a, b) OVERLAPS (c, d)
]
OVERLAPS = [
    ("(DATE '2024-01-01', DATE '2024-01-02') OVERLAPS (DATE '2024-01-02', DATE '2024-01-04')", "TRUE"),
    ("(TIME '02:55:00', INTERVAL '1' HOUR) OVERLAPS (TIME '04:30:00', INTERVAL '2' HOUR)", "FALSE"),
]
JSON = [
    ("JSON_VALUE('{}', '$.a' RETURNING INT DEFAULT 7 ON EMPTY NULL ON ERROR)", "7"),
    ("JSON_VALUE('{\"a\":5}', '$.a' RETURNING INT) + 1", "6"),
    ("JSON_VALUE('no JSON', '$.a' DEFAULT 'bad' ON ERROR)", "bad"),
    ("JSON_QUERY('[1]', '$[0]' WITH CONDITIONAL WRAPPER)", "[1]"),
    ("JSON_QUERY('{}', '$.x' EMPTY ARRAY ON EMPTY)", "[]"),
    ("JSON_EXISTS('no JSON', '$.a' TRUE ON ERROR)", "TRUE"),
    ("JSON_OBJECT(KEY 'a' VALUE 1, 'b' VALUE NULL ABSENT ON NULL)", '{"a":1}'),
    ("JSON_OBJECT('a' VALUE JSON_ARRAY(1, NULL NULL ON NULL))", '{"a":[1,null]}'),
    ("'{}' IS JSON OBJECT", "TRUE"),
    ("'{}' IS NOT JSON ARRAY", "TRUE"),
]


@pytest.mark.parametrize(("text", "answer"), EXAMPLES + OVERLAPS + JSON)
def test_examples(text: str, answer: str) -> None:
    assert printed(bound(text)) == answer
