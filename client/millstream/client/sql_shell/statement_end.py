"""Whether what was typed so far is whole."""

from __future__ import annotations

from sqlglot.tokenizer_core import TokenType

from millstream.sql.parser import SqlError
from millstream.sql.parser.token_cursor import tokenize

COMMANDS = ("QUIT", "EXIT", "HELP", "CLEAR")


def is_whole(text: str) -> bool:
    """A command of the shell, or statements of which the last ends with a semicolon outside of quotes and comments."""
    if not text.strip() or command_of(text):
        return True
    try:
        tokens = tokenize(text)
    except SqlError:
        return False  # an open quote or comment: more is to come
    return bool(tokens) and tokens[-1].token_type is TokenType.SEMICOLON


def command_of(text: str) -> str:
    """QUIT, EXIT, HELP or CLEAR if the text is one, with or without a semicolon; else empty."""
    word = text.strip().rstrip(";").strip().upper()
    return word if word in COMMANDS else ""
