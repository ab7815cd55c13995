"""``DROP ...``."""

from __future__ import annotations

from millstream.sql.parser.statement_start import Start
from millstream.sql.parser.statements import Drop, ObjectKind
from millstream.sql.parser.token_cursor import TokenCursor


def parse_drop(cursor: TokenCursor, start: Start) -> Drop:
    """What follows DROP."""
    temporary = cursor.match("TEMPORARY")
    system = temporary and cursor.match("SYSTEM")
    kind = next((kind for kind in ObjectKind if cursor.match(kind.value)), None)
    if kind is None:
        raise cursor.expecting("TABLE, VIEW, FUNCTION, DATABASE or CATALOG")
    if_exists = cursor.match("IF", "EXISTS")
    path = cursor.path(f"the name of a {kind.value.lower()}")
    cascade = kind is ObjectKind.DATABASE and cursor.match("CASCADE")
    if kind is ObjectKind.DATABASE and not cascade:
        cursor.match("RESTRICT")
    return Drop(
        **start.fields(),
        kind=kind,
        path=path,
        if_exists=if_exists,
        temporary=temporary,
        system=system,
        cascade=cascade,
    )
