"""What is wrong with an output: records lost, records that came too often, records that nobody expected."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

EXAMPLES: Final = 3
EXAMPLE_CHARACTERS: Final = 200


@dataclass(frozen=True)
class OutputDifference:
    """A record is listed as many times as it is too few or too many. ``assert not difference, difference``."""

    expected_count: int
    actual_count: int
    lost: list[Any]
    """Expected, and not there, or not often enough."""
    duplicated: list[Any]
    """There more often than expected."""
    unexpected: list[Any]
    """There, and not expected at all."""

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return bool(self.lost or self.duplicated or self.unexpected)

    def __str__(self) -> str:
        if not self:
            return f"exactly the {self.expected_count} expected records"
        parts = [
            f"{len(records)} {what}, such as {_examples(records)}"
            for what, records in (
                ("lost", self.lost),
                ("duplicated", self.duplicated),
                ("unexpected", self.unexpected),
            )
            if records
        ]
        return f"{self.actual_count} records instead of {self.expected_count}: " + "; ".join(parts)


def compare_outputs(expected: Iterable[Any], actual: Iterable[Any]) -> OutputDifference:
    """Compare as multisets: the order of records of different subtasks means nothing.

    Records may be anything made of dicts, lists, sets, tuples, dataclasses and hashable values; a list equals a tuple
    of the same items, and a NamedTuple the plain one.
    """
    wanted, found = list(expected), list(actual)
    wanted_counts, found_counts = Counter(map(_hashable, wanted)), Counter(map(_hashable, found))
    lost = _excess(wanted, found_counts)
    excess = _excess(found, wanted_counts)
    return OutputDifference(
        len(wanted),
        len(found),
        lost,
        [record for record in excess if wanted_counts[_hashable(record)]],
        [record for record in excess if not wanted_counts[_hashable(record)]],
    )


def _excess(records: list[Any], counts: Counter[Any]) -> list[Any]:
    """The records that are left when those of ``counts`` are taken away."""
    left = Counter(counts)
    excess = []
    for record in records:
        form = _hashable(record)
        if left[form] > 0:
            left[form] -= 1
        else:
            excess.append(record)
    return excess


def _hashable(value: Any) -> Any:
    """A value that is equal for equal records."""
    match value:
        case dict():
            return "dict", frozenset((_hashable(key), _hashable(item)) for key, item in value.items())
        case list() | tuple():
            return tuple(map(_hashable, value))
        case set() | frozenset():
            return "set", frozenset(map(_hashable, value))
    if dataclasses.is_dataclass(value):
        return type(value).__qualname__, tuple(_hashable(getattr(value, f.name)) for f in dataclasses.fields(value))
    return value


def _examples(records: list[Any]) -> str:
    shown = [f"{record!r:.{EXAMPLE_CHARACTERS}}" for record in records[:EXAMPLES]]
    return ", ".join(shown) + (", ..." if len(records) > EXAMPLES else "")
