"""Completion: keywords, names of tables, their columns, functions, settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from millstream.core.config.options import OPTIONS
from millstream.core.errors import MillstreamError
from millstream.sql.catalog.objects import CatalogTable
from millstream.sql.parser.dialect import KEYWORDS
from millstream.sql.session.sql_session import SqlSession

STATEMENT_WORDS: Final = (
    "ADD", "ALTER", "BEGIN STATEMENT SET", "CATALOG", "CHANGELOG_MODE", "CLEAR", "COLUMNS", "COMMENT", "CREATE",
    "DATABASE", "DATABASES", "DESCRIBE", "DROP", "END", "EXECUTE STATEMENT SET", "EXISTS", "EXIT", "EXPLAIN",
    "FUNCTION", "FUNCTIONS", "HELP", "IF", "INSERT INTO", "LANGUAGE PYTHON", "METADATA", "MODIFY", "NOT ENFORCED",
    "PARTITIONED BY", "PRIMARY KEY", "QUIT", "RENAME TO", "RESET", "SET", "SHOW", "STATE_RECOVERY", "TABLES",
    "TEMPORARY", "USE", "VIEW", "VIEWS", "VIRTUAL", "WATERMARK FOR",
    "BIGINT", "BOOLEAN", "BYTES", "DATE", "DECIMAL", "DOUBLE", "FLOAT", "INT", "MAP", "MULTISET", "SMALLINT", "STRING",
    "TIME", "TIMESTAMP", "TIMESTAMP_LTZ", "TINYINT", "VARCHAR", "DESCRIPTOR", "TUMBLE", "HOP", "CUMULATE", "SESSION",
)  # fmt: skip
_SETTING: Final = re.compile(r"(?:RE)?SET\s+'([^']*)$", re.IGNORECASE)
_WORD: Final = re.compile(r"[\w$`.]*$")
_TABLES: Final = re.compile(r"(?:FROM|JOIN|INTO|TABLE|DESCRIBE|UPDATE)\s+(`?[\w$.`]+)", re.IGNORECASE)


class SqlCompleter(Completer):
    """Offers what begins with the word before the cursor; in ``SET '`` the settings."""

    def __init__(self, session: SqlSession) -> None:
        self._session = session
        self._words = sorted({*KEYWORDS, *STATEMENT_WORDS})

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        before = document.text_before_cursor
        setting = _SETTING.search(before)
        if setting is not None:
            yield from _starting_with(setting[1], sorted(OPTIONS), "setting")
            return
        found = _WORD.search(before)
        word = found[0] if found else ""
        if not word and not complete_event.completion_requested:
            return
        yield from _starting_with(word, self._columns(document.text), "column")
        yield from _starting_with(word, self._relations(word), "table")
        yield from _starting_with(word, self._functions(), "function")
        yield from _starting_with(word, self._words, "")

    def _relations(self, word: str) -> list[str]:
        catalogs = self._session.catalogs
        try:
            path = word.replace("`", "").split(".")[:-1]
            scope = catalogs.database_path(tuple(path))
            names = [".".join([*path, name]) for name in catalogs.relations(*scope)]
            return names if path else [*names, *catalogs.catalog(scope[0]).databases(), *catalogs.catalogs()]
        except MillstreamError:
            return []

    def _columns(self, text: str) -> list[str]:
        """Of the tables that the text names."""
        names: set[str] = set()
        for path in _TABLES.findall(text):
            try:
                resolved = self._session.catalogs.find(tuple(path.replace("`", "").split(".")))
            except MillstreamError:
                continue
            if resolved is not None and isinstance(resolved.relation, CatalogTable):
                names.update(resolved.relation.names)
        return sorted(names)

    def _functions(self) -> list[str]:
        catalogs, runner = self._session.catalogs, self._session.runner
        try:
            users = catalogs.functions(*catalogs.database_path(()))
        except MillstreamError:
            users = []
        return sorted({*users, *(runner.built_in_functions() if runner is not None else ())})


def _starting_with(word: str, names: Iterable[str], what: str) -> Iterator[Completion]:
    for name in names:
        if name.lower().startswith(word.lower()) and name != word:
            yield Completion(name, start_position=-len(word), display_meta=what)
