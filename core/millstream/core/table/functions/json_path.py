"""Paths into JSON as SQL writes them: ``lax $.a.b[0]['c d'][*]``."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any, Final

from millstream.core.errors import JobGraphError

_STEP: Final = re.compile(
    r"\.\.(?P<deep>[\w$-]+|\*)|\.(?P<name>[\w$-]+|\*)|\[\s*(?P<index>-?\d+|\*)\s*\]|\[\s*(?P<quote>['\"])(?P<quoted>.*?)(?P=quote)\s*\]"
)


@dataclass(frozen=True)
class JsonPath:
    """Steps from the root: a name, a position, ``*`` for all, or (``deep``) a name at any depth."""

    source: str
    strict: bool
    """Whether a missing step is an error; in ``lax`` mode it only finds nothing."""
    steps: tuple[tuple[str, str | int], ...]

    @property
    def definite(self) -> bool:
        """Whether it leads to at most one value."""
        return all(kind in ("name", "index") for kind, _ in self.steps)


@functools.lru_cache(maxsize=1024)
def json_path(source: str) -> JsonPath:
    """The steps of a path. Raises ``JobGraphError`` for a text that is none, filters ``[?(...)]`` included."""
    match = re.match(r"\s*(?:(lax|strict)\s+)?\$", source, re.IGNORECASE)
    if match is None:
        raise JobGraphError(f"the JSON path {source!r} must begin with $, lax $ or strict $")
    strict = (match[1] or "").lower() == "strict"
    place = match.end()
    steps: list[tuple[str, str | int]] = []
    text = source.rstrip()
    while place < len(text):
        step = _STEP.match(text, place)
        if step is None:
            raise JobGraphError(
                f"the JSON path {source!r} cannot be read from {text[place:]!r} on; "
                "it may have .name, ['name'], [0], [*], .*, ..name"
            )
        place = step.end()
        if step["deep"] is not None:
            steps.append(("deep", step["deep"]))
        elif step["quoted"] is not None:
            steps.append(("name", step["quoted"]))
        elif step["index"] is not None:
            steps.append(("all", "*") if step["index"] == "*" else ("index", int(step["index"])))
        else:
            steps.append(("all", "*") if step["name"] == "*" else ("name", step["name"]))
    return JsonPath(source, strict, tuple(steps))


class PathMissing(LookupError):
    """A strict path leads to nothing."""


def find(path: JsonPath, document: Any) -> list[Any]:
    """The values that the path leads to. Raises ``PathMissing`` in strict mode where a step leads nowhere."""
    values = [document]
    for kind, step in path.steps:
        values = [found for value in values for found in _follow(kind, step, value)]
        if path.strict and not values:
            raise PathMissing(f"the path {path.source!r} leads nowhere at {step!r}")
    return values


def _follow(kind: str, step: str | int, value: Any) -> list[Any]:
    if kind == "name":
        return [value[step]] if isinstance(value, dict) and step in value else []
    if kind == "index":
        assert isinstance(step, int)
        size = len(value) if isinstance(value, list) else 0
        return [value[step]] if -size <= step < size else []
    if kind == "all":
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    below = list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    own = _follow("name", step, value) if step != "*" else below
    return own + [found for item in below for found in _follow("deep", step, item)]
