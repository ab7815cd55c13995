"""Side outputs: a function yields ``(tag, value)`` to send a value elsewhere than to its main output."""

from __future__ import annotations

from typing import Any

from millstream.core.errors import JobGraphError


class OutputTag:
    """Names a side output. Two tags with the same id are the same output."""

    __slots__ = ("tag_id", "type_info")

    def __init__(self, tag_id: str, type_info: Any = None) -> None:
        if not isinstance(tag_id, str) or not tag_id:
            raise JobGraphError(f"an OutputTag needs a non-empty id, not {tag_id!r}")
        self.tag_id = tag_id
        self.type_info = type_info

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OutputTag) and other.tag_id == self.tag_id

    def __hash__(self) -> int:
        return hash(self.tag_id)

    def __repr__(self) -> str:
        return f"OutputTag({self.tag_id!r})"
