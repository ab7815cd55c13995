"""``SHOW ...``, ``DESCRIBE ...``, ``USE ...``."""

from __future__ import annotations

from typing import Final

from millstream.sql.parser.statement_start import Start
from millstream.sql.parser.statements import Describe, ObjectKind, ObjectPath, Show, Shown, Use
from millstream.sql.parser.token_cursor import TokenCursor

_OF_AN_OBJECT: Final = (Shown.CREATE_TABLE, Shown.CREATE_VIEW, Shown.CREATE_CATALOG, Shown.PARTITIONS)
_OF_A_SCOPE: Final = (Shown.DATABASES, Shown.TABLES, Shown.VIEWS, Shown.FUNCTIONS)
_SESSION: Final = (Shown.CURRENT_CATALOG, Shown.CURRENT_DATABASE, Shown.JOBS)


def parse_show(cursor: TokenCursor, start: Start) -> Show:
    """What follows SHOW."""
    what = next((shown for shown in Shown if cursor.match(*shown.value.split())), None)
    if what is None:
        raise cursor.expecting(", ".join(shown.value for shown in Shown))
    path: ObjectPath = ()
    if what in _OF_AN_OBJECT:
        path = cursor.path("a name")
    elif what is Shown.COLUMNS:
        if not cursor.match("FROM"):
            cursor.expect("IN")
        path = cursor.path("the name of a table")
    elif what in _OF_A_SCOPE and (cursor.match("FROM") or cursor.match("IN")):
        path = cursor.path("the name of a catalog" if what is Shown.DATABASES else "the name of a database")
    negated = ignore_case = False
    pattern = ""
    if what not in _OF_AN_OBJECT and what not in _SESSION:
        negated = cursor.match("NOT")
        if cursor.match("LIKE") or (ignore_case := cursor.match("ILIKE")):
            pattern = cursor.string("a pattern")
        elif negated:
            raise cursor.expecting("LIKE or ILIKE")
    return Show(**start.fields(), what=what, path=path, pattern=pattern, ignore_case=ignore_case, negated=negated)


def parse_describe(cursor: TokenCursor, start: Start) -> Describe:
    """What follows DESCRIBE or DESC."""
    kind = ObjectKind.TABLE
    for candidate in (ObjectKind.CATALOG, ObjectKind.FUNCTION, ObjectKind.DATABASE):
        if cursor.match(candidate.value):
            kind = candidate
    extended = cursor.match("EXTENDED")
    path = cursor.path("the name of a table" if kind is ObjectKind.TABLE else f"the name of a {kind.value.lower()}")
    return Describe(**start.fields(), kind=kind, path=path, extended=extended)


def parse_use(cursor: TokenCursor, start: Start) -> Use:
    """What follows USE."""
    if cursor.match("CATALOG"):
        return Use(path=(cursor.identifier("the name of a catalog"),), kind=ObjectKind.CATALOG, **start.fields())
    return Use(path=cursor.path("the name of a database"), kind=ObjectKind.DATABASE, **start.fields())
