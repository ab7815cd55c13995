"""The examples of every built-in function, as constants and through the planner's folding."""

import pytest

from millstream.core.table.evaluation import fold_constants
from millstream.core.table.functions import registry
from tests.unit.table.expression_text import parse, printed

EXAMPLES = [
    pytest.param(text, answer, id=text)
    for _, functions in registry.themes()
    for function in functions
    for text, answer in function.examples
]


@pytest.mark.parametrize(("text", "answer"), EXAMPLES)
def test_examples(text: str, answer: str) -> None:
    assert printed(text) == answer


@pytest.mark.parametrize(("text", "answer"), EXAMPLES)
def test_folding_changes_nothing(text: str, answer: str) -> None:
    assert printed(fold_constants(parse(text))) == answer


def test_every_function_has_a_summary() -> None:
    silent = [f.name for _, functions in registry.themes() for f in functions if not f.summary]
    assert not silent
