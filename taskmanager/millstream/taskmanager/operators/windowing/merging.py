"""Finds out what a new window does to the windows of a key when windows may merge. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from millstream.core.api.windowing.assigner import MergingWindowAssigner
from millstream.core.api.windowing.window import Window

Merge = tuple[Window, list[Window]]
"""The merged window, and the existing windows that become it (never the new one, which holds nothing yet)."""


class _Merges(MergingWindowAssigner.MergeCallback[Any]):
    def __init__(self) -> None:
        self.found: list[tuple[Window, list[Window]]] = []

    def merge(self, to_be_merged: Iterable[Any], merge_result: Any) -> None:
        self.found.append((merge_result, list(to_be_merged)))


def merge_in(
    assigner: MergingWindowAssigner[Any, Any], existing: Iterable[Window], new: Window
) -> tuple[Window, list[Merge]]:
    """The window that ``new`` ends up in, and the merges of ``existing`` windows this causes.

    A window that swallows ``new`` without changing is no merge.
    """
    known = list(existing)
    if new in known:
        return new, []
    callback = _Merges()
    assigner.merge_windows([*known, new], callback)
    target, merges = new, []
    for result, members in callback.found:
        if new in members:
            target = result
            members = [window for window in members if window != new]
        if members and members != [result]:
            merges.append((result, members))
    return target, merges
