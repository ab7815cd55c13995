"""Names of columns to positions."""

from __future__ import annotations

from sqlglot import exp

from millstream.core.table.expressions import Expression, InputRef
from millstream.core.table.logical_types import TypeRoot
from millstream.sql.binder.scope import OuterRef, Scope
from millstream.sql.errors import did_you_mean, query_error, unsupported


def resolve_column(scope: Scope, parts: list[str], node: exp.Expr) -> tuple[Expression, list[str]]:
    """The column that the first names of ``parts`` mean, here or around, and the names of fields that follow.

    ``table.column`` goes before ``column.field``. Raises ``QueryError`` for unknown and ambiguous names.
    """
    found = _find(scope, parts, node)
    if found is not None:
        index, rest = found
        return InputRef(scope.relation.row[index].type, index), rest
    if scope.parent is not None:
        found = _find(scope.parent, parts, node)
        if found is not None:
            index, rest = found
            return OuterRef(scope.parent.relation.row[index].type, index), rest
        if scope.parent.parent is not None and _find(scope.parent.parent, parts, node) is not None:
            raise unsupported(f"{'.'.join(parts)}, a column of a query two levels around the subquery,", node)
    raise _unknown(scope, parts, node)


def _find(scope: Scope, parts: list[str], node: exp.Expr) -> tuple[int, list[str]] | None:
    relation = scope.relation
    for at in range(len(parts) - 1, 0, -1):  # database.table.column, table.column
        matches = relation.matches(parts[at], parts[at - 1])
        if matches and at <= 3:
            return _only(matches, ".".join(parts[: at + 1]), scope, node), parts[at + 1 :]
    matches = relation.matches(parts[0])
    if len(parts) > 1:
        matches = [index for index in matches if relation.row[index].type.root is TypeRoot.ROW]
    if matches:
        return _only(matches, parts[0], scope, node), parts[1:]
    return None


def _only(matches: list[int], name: str, scope: Scope, node: exp.Expr) -> int:
    if len(matches) > 1:
        relation = scope.relation
        choices = [f"{relation.qualifiers[index]}.{relation.names[index]}" for index in matches]
        raise query_error(f"the column {name!r} is ambiguous: it may be {' or '.join(choices)}", node)
    return matches[0]


def _unknown(scope: Scope, parts: list[str], node: exp.Expr) -> Exception:
    relation = scope.relation
    name = parts[-1]
    if len(parts) > 1 and parts[-2] not in relation.qualifiers and not relation.matches(parts[0]):
        tables = sorted({qualifier for qualifier in relation.qualifiers if qualifier})
        known = f"; known here are {', '.join(tables)}" if tables else ""
        return query_error(
            f"there is no table or alias {parts[-2]!r} here{known}.{did_you_mean(parts[-2], tables)}", node
        )
    qualifier = parts[-2] if len(parts) > 1 else None
    known_names = [relation.names[index] for index in relation.visible(qualifier)]
    where = f" in {qualifier!r}" if qualifier else ""
    return query_error(f"there is no column {name!r}{where}.{did_you_mean(name, known_names)}", node)
