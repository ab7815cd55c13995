"""Plants a bug in the process that imports this: its edits are made while the product's modules are loaded."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType

from tests.bugbank.bug import Bug, Edit


class Planter(importlib.abc.MetaPathFinder):
    """Finds the modules that the bug is in."""

    def __init__(self, bug: Bug) -> None:
        self._edits: dict[str, list[Edit]] = {}
        for edit in bug.edits:
            self._edits.setdefault(edit.module, []).append(edit)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        edits = self._edits.get(fullname)
        spec = None if edits is None else importlib.machinery.PathFinder.find_spec(fullname, path)
        if edits is None or spec is None or spec.origin is None:
            return None
        return importlib.util.spec_from_file_location(
            fullname, spec.origin, loader=_Loader(fullname, spec.origin, edits)
        )


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles the edited source; what is compiled already, and kept, is that without the bug."""

    def __init__(self, fullname: str, path: str, edits: list[Edit]) -> None:
        super().__init__(fullname, path)
        self._edits = edits

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).decode()
        for edit in self._edits:
            source = edit.apply(source)
        code: CodeType = compile(source, self.path, "exec", dont_inherit=True)
        return code


def plant(bug: Bug) -> None:
    """For all modules that are imported from now on."""
    sys.meta_path.insert(0, Planter(bug))
