"""Colours of SQL while it is typed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from millstream.client.sql_shell.completion import STATEMENT_WORDS
from millstream.sql.parser.dialect import KEYWORDS

_COLOURED: Final = KEYWORDS | {word for words in STATEMENT_WORDS for word in words.split()}
_PARTS: Final = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))|(?P<string>'(?:[^']|'')*(?:'|\Z))|(?P<name>`[^`]*(?:`|\Z))"
    r"|(?P<number>\b\d+(?:\.\d+)?\b)|(?P<word>[A-Za-z_$][\w$]*)|(?P<other>.)",
    re.DOTALL,
)
_STYLES: Final = {
    "comment": "italic ansibrightblack",
    "string": "ansigreen",
    "name": "ansicyan",
    "number": "ansimagenta",
}


class SqlLexer(Lexer):
    """Keywords, strings, names in backticks, numbers and comments, also over several lines."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        lines: list[StyleAndTextTuples] = [[]]
        for match in _PARTS.finditer(document.text):
            text, kind = match[0], match.lastgroup or "other"
            is_keyword = kind == "word" and text.upper() in _COLOURED
            style = "bold ansiblue" if is_keyword else _STYLES.get(kind, "")
            for at, piece in enumerate(text.split("\n")):
                if at:
                    lines.append([])
                if piece:
                    lines[-1].append((style, piece))
        return lambda number: lines[number] if number < len(lines) else []
