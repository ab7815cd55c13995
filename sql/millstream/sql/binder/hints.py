"""Hints of a query: options of a table, time to live of state."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from millstream.core.api.time import parse_duration_ms
from millstream.core.errors import ConfigError
from millstream.sql.errors import query_error, unsupported

_IGNORED = frozenset({"BROADCAST", "SHUFFLE_HASH", "SHUFFLE_MERGE", "NEST_LOOP", "MULTI_JOIN"})
"""They choose among ways to compute the same; there is one way here."""


def table_options(table: exp.Expr) -> dict[str, str]:
    """``/*+ OPTIONS('key' = 'value') */`` behind a table. Raises ``QueryError`` for another hint."""
    options: dict[str, str] = {}
    for call in _calls(table.args.get("hints")):
        name = str(call.this).upper()
        if name != "OPTIONS":
            raise unsupported(f"the hint {name} behind a table", call, "Behind a table stands OPTIONS(...).")
        options.update(_pairs(call))
    return options


def state_ttls(select: exp.Expr) -> dict[str, int]:
    """``SELECT /*+ STATE_TTL('alias' = '1d') */``: milliseconds by table or alias."""
    ttls: dict[str, int] = {}
    for call in _calls([select.args.get("hint")]):
        name = str(call.this).upper()
        if name == "STATE_TTL":
            ttls.update({alias: _duration_ms(text, call) for alias, text in _pairs(call)})
        elif name not in _IGNORED and name != "LOOKUP":
            raise unsupported(f"the hint {name}", call)
    return ttls


def _duration_ms(text: str, call: exp.Expr) -> int:
    try:
        return parse_duration_ms(text)
    except (ConfigError, ValueError) as error:
        raise query_error(f"STATE_TTL: {error}", call) from error


def _calls(hints: list[exp.Expr | None] | None) -> Iterator[exp.Expr]:
    for hint in hints or []:
        if hint is not None:
            yield from hint.expressions


def _pairs(call: exp.Expr) -> Iterator[tuple[str, str]]:
    for pair in call.expressions:
        if not isinstance(pair, exp.EQ):
            raise query_error(f"{call.this} takes pairs such as 'key' = 'value'", pair)
        yield pair.this.name, pair.expression.name
