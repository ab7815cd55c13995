"""What the line editor does while a statement is typed."""

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from millstream.client.sql_shell.colours import SqlLexer
from millstream.client.sql_shell.completion import SqlCompleter
from millstream.client.sql_shell.statement_end import command_of, is_whole
from millstream.core.config import load
from millstream.sql.session.sql_session import SqlSession


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("SELECT 1;", True),
        ("SELECT 1; ", True),
        ("SELECT 1", False),
        ("SELECT 1; SELECT", False),
        ("SELECT ';", False),
        ("SELECT ';';", True),
        ("SELECT 1 -- ;", False),
        ("SELECT 1; -- done", True),
        ("/* ; ", False),
        ("quit", True),
        ("  ", True),
    ],
)
def test_a_statement_ends_with_a_semicolon_of_its_own(text: str, whole: bool) -> None:
    assert is_whole(text) == whole


def test_commands() -> None:
    assert command_of(" Quit ;") == "QUIT"
    assert command_of("HELP me") == ""


@pytest.fixture
def completer() -> SqlCompleter:
    session = SqlSession(load())
    script = """
    CREATE TABLE orders (price INT, product STRING); CREATE DATABASE stock; CREATE TABLE stock.parts (id INT);
    CREATE FUNCTION prefix_of AS 'm.f' LANGUAGE PYTHON
    """
    list(session.execute_script(script))
    return SqlCompleter(session)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("SELECT * FROM ord", "orders"),
        ("SELECT * FROM stock.pa", "stock.parts"),
        ("SELECT * FROM sto", "stock"),
        ("SEL", "SELECT"),
        ("SELECT pref", "prefix_of"),
        ("SET 'table.exec.state", "table.exec.state.ttl"),
        ("RESET 'parallel", "parallelism.default"),
    ],
)
def test_completion(completer: SqlCompleter, typed: str, offered: str) -> None:
    found = [each.text for each in completer.get_completions(Document(typed), CompleteEvent())]
    assert offered in found


def test_columns_of_the_tables_that_the_text_names(completer: SqlCompleter) -> None:
    document = Document("SELECT pr FROM orders", cursor_position=len("SELECT pr"))
    found = [each.text for each in completer.get_completions(document, CompleteEvent())]
    assert found[:2] == ["price", "product"]


def test_colours_over_several_lines() -> None:
    line = SqlLexer().lex_document(Document("SELECT 'a\nb' FROM x -- c"))
    assert line(0) == [("bold ansiblue", "SELECT"), ("", " "), ("ansigreen", "'a")]
    assert [text for style, text in line(1) if style][:2] == ["b'", "FROM"]
    assert line(2) == []
