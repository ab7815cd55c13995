"""Queries made up by a seed, of what Millstream and DuckDB mean the same by.

All numbers are BIGINT and small enough that no sum of a group leaves it; integers are never divided.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from millstream.sql.parser.script import parse_script
from millstream.sql.parser.statements import Query
from tests.differential.case import Case

_NUMBERS: Final = ("k", "t", "s", "i")
_TEXTS: Final = ("'abc'", "''", "'b'", "CAST(NULL AS STRING)")
_COMPARED: Final = ("=", "<>", "<", "<=", ">", ">=")


class Expressions:
    """Random expressions over the columns of ``mixed``, called ``m``."""

    def __init__(self, source: random.Random) -> None:
        self.source = source

    def number(self, depth: int) -> str:
        """A BIGINT."""
        leaf = self._any(lambda: f"CAST(m.{self.source.choice(_NUMBERS)} AS BIGINT)", self._constant)
        if depth == 0:
            return leaf()
        below = depth - 1
        made = self._any(
            leaf,
            lambda: f"({self.number(below)} {self.source.choice('+-')} {self.number(below)})",
            lambda: f"({self.number(below)} * {self.source.randint(-4, 4)})",
            lambda: f"CASE WHEN {self.condition(below)} THEN {self.number(below)} ELSE {self.number(below)} END",
            lambda: f"CASE WHEN {self.condition(below)} THEN {self.number(below)} END",
            lambda: f"COALESCE({self.number(below)}, {self.number(below)})",
            lambda: f"NULLIF({self.number(below)}, {self.number(below)})",
            lambda: f"ABS({self.number(below)})",
            lambda: f"CAST(CHAR_LENGTH({self.text(below)}) AS BIGINT)",
        )
        return made()

    def text(self, depth: int) -> str:
        """A STRING."""
        leaf = self._any(lambda: "m.str", lambda: self.source.choice(_TEXTS))
        if depth == 0:
            return leaf()
        below = depth - 1
        made = self._any(
            leaf,
            lambda: f"UPPER({self.text(below)})",
            lambda: f"LOWER({self.text(below)})",
            lambda: f"({self.text(below)} || {self.text(below)})",
            lambda: f"SUBSTRING({self.text(below)}, {self.source.randint(1, 3)}, {self.source.randint(0, 3)})",
            lambda: f"CASE WHEN {self.condition(below)} THEN {self.text(below)} ELSE {self.text(below)} END",
            lambda: f"CAST({self.number(below)} AS STRING)",
        )
        return made()

    def condition(self, depth: int) -> str:
        """A BOOLEAN."""
        leaf = self._any(lambda: "m.b", lambda: f"m.k {self.source.choice(_COMPARED)} {self.source.randint(0, 8)}")
        if depth == 0:
            return leaf()
        below = depth - 1
        made = self._any(
            leaf,
            lambda: f"({self.condition(below)} AND {self.condition(below)})",
            lambda: f"({self.condition(below)} OR {self.condition(below)})",
            lambda: f"(NOT {self.condition(below)})",
            lambda: f"({self.number(below)} {self.source.choice(_COMPARED)} {self.number(below)})",
            lambda: f"({self.text(below)} {self.source.choice(_COMPARED)} {self.text(below)})",
            lambda: f"({self.number(below)} IS NULL)",
            lambda: f"({self.text(below)} IS NOT NULL)",
            lambda: f"({self.number(below)} BETWEEN {self.number(0)} AND {self.number(0)})",
            lambda: f"({self.number(below)} IN (0, 1, 7, {self.number(0)}))",
            lambda: f"({self.text(below)} LIKE '{self.source.choice(('a%', '%b%', '_b_', '%'))}')",
            lambda: f"({self.number(below)} IS DISTINCT FROM {self.number(below)})",
        )
        return made()

    def _constant(self) -> str:
        return f"CAST({self.source.randint(-9, 9)} AS BIGINT)"

    def _any(self, *makers: Callable[[], str]) -> Callable[[], str]:
        return self.source.choice(makers)


def random_cases(seed: int, count: int) -> list[Case]:
    """``count`` queries; the same for the same seed."""
    made = []
    for number in range(count):
        source = random.Random(f"{seed}/{number}")
        shape = _SHAPES[number % len(_SHAPES)]
        text = shape(Expressions(source))
        (query,) = parse_script(text)
        assert isinstance(query, Query)
        tables = ("mixed", "auctions") if "auctions" in text else ("mixed",)
        name = f"random/{shape.__name__.strip('_')}-{seed}-{number}"
        made.append(Case(name, Path(__file__), tables, (), query, text, ""))
    return made


def _projection(e: Expressions) -> str:
    return (
        f"SELECT m.id, {e.number(3)} AS a, {e.text(3)} AS b, {e.condition(3)} AS c, {e.number(2)} AS d FROM mixed AS m "
        f"WHERE {e.condition(3)}"
    )


def _groups(e: Expressions) -> str:
    key = e.source.choice((e.number(1), e.text(1), e.condition(1)))
    return (
        f"SELECT g, COUNT(*) AS n, SUM(x) AS s, MIN(x) AS lo, MAX(y) AS hi, COUNT(DISTINCT x) AS d, "
        f"SUM(x) FILTER (WHERE c) AS f FROM (SELECT {key} AS g, {e.number(2)} AS x, {e.text(2)} AS y, "
        f"{e.condition(2)} AS c FROM mixed AS m WHERE {e.condition(2)}) GROUP BY g"
    )


def _levels(e: Expressions) -> str:
    having = e.source.choice(("COUNT(*) > 3", "SUM(x) > 10", "MIN(x) IS NOT NULL"))
    return (
        f"SELECT n, COUNT(*) AS c, SUM(s) AS s, MAX(s) AS hi FROM (SELECT g, COUNT(*) AS n, SUM(x) AS s FROM "
        f"(SELECT {e.number(1)} AS g, {e.number(2)} AS x FROM mixed AS m) GROUP BY g HAVING {having}) GROUP BY n"
    )


def _joins(e: Expressions) -> str:
    kind = e.source.choice(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
    below = e.source.randint(5, 50)
    return (
        f"SELECT x.id, y.id AS other, x.v, y.seller FROM (SELECT m.id, m.k, {e.number(2)} AS v, {e.condition(2)} AS c "
        f"FROM mixed AS m WHERE {e.condition(1)}) AS x {kind} (SELECT * FROM auctions WHERE id < {below}) "
        f"AS y ON x.k = y.category AND {e.source.choice(('x.c', 'x.v < y.seller', 'TRUE'))}"
    )


_SHAPES: Final = (_projection, _groups, _levels, _joins)
