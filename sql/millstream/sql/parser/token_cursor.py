"""A position in the tokens of one statement: what the parsers of statements and types read from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from millstream.core.config.configuration import nearest
from millstream.sql.parser.dialect import KEYWORDS, FlinkDialect
from millstream.sql.parser.errors import Position, SqlParseError

T = TypeVar("T")


def tokenize(source: str) -> list[Token]:
    """The tokens of a script; ``SqlParseError`` for a string, identifier or comment that does not end."""
    try:
        found = FlinkDialect().tokenize(source)
    except TokenError as error:
        offset, reason = _open_quote(source)
        raise SqlParseError.at(source, offset, reason) from error
    for token in found:
        if token.text.startswith('"') and token.token_type not in (TokenType.STRING, TokenType.IDENTIFIER):
            hint = "Use `backticks` for names and 'single quotes' for strings."
            raise SqlParseError.at(source, token.start, "double quotes quote nothing in Flink SQL", hint)
    return found


def _open_quote(source: str) -> tuple[int, str]:
    """Where the quote or comment starts that has no end."""
    at = 0
    while at < len(source):
        for start, end, what in (
            ("--", "\n", ""),
            ("/*", "*/", "comment"),
            ("'", "'", "string"),
            ("`", "`", "quoted identifier"),
        ):
            if source.startswith(start, at):
                stop = source.find(end, at + len(start))
                if stop < 0:
                    return at, f"this {what or 'text'} does not end: {end!r} is missing"
                at = stop + len(end) - 1
                break
        at += 1
    return max(len(source) - 1, 0), "the text cannot be split into words"


class TokenCursor:
    """Reads ``tokens`` from left to right. Words match without regard to case, quoted identifiers never."""

    def __init__(self, source: str, tokens: Sequence[Token], index: int = 0) -> None:
        self.source = source
        self.tokens = list(tokens)
        self.index = index

    @property
    def current(self) -> Token | None:
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    @property
    def at_end(self) -> bool:
        return self.index >= len(self.tokens)

    @property
    def offset(self) -> int:
        """Of the current token; after the last one, the end of the statement."""
        token = self.current
        if token is not None:
            return token.start
        return self.tokens[-1].end + 1 if self.tokens else len(self.source)

    @property
    def position(self) -> Position:
        return Position.of(self.source, self.offset)

    def text_since(self, offset: int) -> str:
        """The source from ``offset`` to the end of the last token read."""
        return self.source[offset : self.tokens[self.index - 1].end + 1] if self.index else ""

    def peek_words(self, *words: str) -> bool:
        """The next words are these; nothing is read."""
        return self._after_words(words) is not None

    def match(self, *words: str) -> bool:
        """Read these words if they come next. A token may hold several of them (``GROUP BY``)."""
        after = self._after_words(words)
        if after is None:
            return False
        self.index = after
        return True

    def _after_words(self, words: Sequence[str]) -> int | None:
        index, wanted = self.index, list(words)
        while wanted:
            if index >= len(self.tokens):
                return None
            token = self.tokens[index]
            if token.token_type in (TokenType.IDENTIFIER, TokenType.STRING):
                return None
            have = token.text.upper().split()
            if have != wanted[: len(have)]:
                return None
            wanted = wanted[len(have) :]
            index += 1
        return index

    def expect(self, *words: str) -> None:
        """Read these words, or fail naming them."""
        if not self.match(*words):
            raise self.expecting(" ".join(words))

    def match_sign(self, kind: TokenType) -> bool:
        token = self.current
        if token is None or token.token_type is not kind:
            return False
        self.index += 1
        return True

    def peek_sign(self, kind: TokenType) -> bool:
        token = self.current
        return token is not None and token.token_type is kind

    def expect_sign(self, kind: TokenType, shown: str) -> None:
        if not self.match_sign(kind):
            raise self.expecting(repr(shown))

    def identifier(self, what: str) -> str:
        """A name, quoted or not."""
        token = self.current
        if token is None or token.token_type in (TokenType.STRING, TokenType.NUMBER) or not is_name(token):
            raise self.expecting(what)
        self.index += 1
        return token.text

    def path(self, what: str) -> tuple[str, ...]:
        """A dotted name of up to three parts."""
        start = self.offset
        parts = [self.identifier(what)]
        while self.match_sign(TokenType.DOT):
            parts.append(self.identifier(f"the rest of {what}"))
        if len(parts) > 3:
            raise SqlParseError.at(
                self.source, start, f"{'.'.join(parts)} has {len(parts)} parts", "A path is catalog.database.name."
            )
        return tuple(parts)

    def string(self, what: str) -> str:
        token = self.current
        if token is None or token.token_type is not TokenType.STRING:
            raise self.expecting(f"{what} in single quotes")
        self.index += 1
        return token.text

    def number(self, what: str) -> int:
        token = self.current
        if token is None or token.token_type is not TokenType.NUMBER or not token.text.isdigit():
            raise self.expecting(what)
        self.index += 1
        return int(token.text)

    def listed(self, read: Callable[[], T]) -> tuple[T, ...]:
        """``read`` once or more, separated by commas."""
        items = [read()]
        while self.match_sign(TokenType.COMMA):
            items.append(read())
        return tuple(items)

    def in_parentheses(self, read: Callable[[], T]) -> tuple[T, ...]:
        """``( read, read, ... )``."""
        self.expect_sign(TokenType.L_PAREN, "(")
        items = self.listed(read)
        self.expect_sign(TokenType.R_PAREN, ")")
        return items

    def expect_end(self) -> None:
        if not self.at_end:
            raise self.failure(f"unexpected {self.shown()}", self._misspelt() or "Statements are separated by ';'.")

    def _misspelt(self) -> str:
        """A hint if the word here or the one before it looks like a keyword."""
        for token in self.tokens[max(self.index - 1, 0) : self.index + 1]:
            word = token.text.upper()
            if token.token_type is not TokenType.VAR or len(word) < 4 or word in KEYWORDS:
                continue
            if near := nearest(word, sorted(KEYWORDS)):
                return f"Did you mean {near} instead of {token.text}?"
        return ""

    def shown(self) -> str:
        """The current token for a message."""
        token = self.current
        if token is None:
            return "the end of the statement"
        return repr(self.source[token.start : token.end + 1])

    def expecting(self, expected: str) -> SqlParseError:
        """The error that something else stands here."""
        return self.failure(f"expected {expected}, found {self.shown()}")

    def failure(self, message: str, hint: str = "") -> SqlParseError:
        """An error at the current token."""
        return SqlParseError.at(self.source, self.offset, message, hint)


def is_name(token: Token) -> bool:
    """The token can be the name of something."""
    return token.token_type is TokenType.IDENTIFIER or token.text.replace("_", "a").replace("$", "a").isalnum()
