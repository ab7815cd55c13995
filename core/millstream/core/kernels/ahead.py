"""Kernels before they are needed: compiled once a machine, and read from the disk before slots are forked.

numba compiles a kernel at its first call with arguments of some types, and keeps the machine code beside the module (or
in the user's cache, where that cannot be written). ``signatures.txt`` names the kernels with the types they are called
with, a line each, so that neither an image nor a first job has to find out by running one:

    millstream.core.kernels.hash_index lookup int64[1], const uint8[1], int64

``int64[2]`` is an array of two dimensions, ``const`` one that is only read, ``uint8*`` an address,
``uint64x2`` a tuple.
``scripts/record-kernels`` writes it from what the jobs of tests and benchmarks have compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from millstream.core.errors import invariant

SIGNATURES_FILE: Final = Path(__file__).with_name("signatures.txt")
_ARRAY: Final = re.compile(r"(const )?(\w+)\[(\d)\]")
_TUPLE: Final = re.compile(r"(\w+)x(\d+)")
_READ_ONLY: Final = "const "


@dataclass(frozen=True, order=True)
class KernelSignature:
    """One kernel with the types of its arguments."""

    module: str
    function: str
    types: tuple[str, ...]

    def line(self) -> str:
        return f"{self.module} {self.function} {', '.join(self.types)}".rstrip()


def known_signatures() -> list[KernelSignature]:
    """All lines of ``signatures.txt``."""
    return [_parse(line) for line in SIGNATURES_FILE.read_text("utf-8").splitlines() if line]


def _parse(line: str) -> KernelSignature:
    module, function, *rest = line.split(" ", 2)
    return KernelSignature(module, function, tuple(rest[0].split(", ")) if rest else ())


def compile_kernels(started: Callable[[KernelSignature, int, int], None]) -> int:
    """Compile what is not on disk yet, which takes a minute or two on an empty disk; how many kernels there are.

    ``started`` hears of each kernel, with its number from 1 and their count.
    """
    signatures = known_signatures()
    for number, signature in enumerate(signatures, 1):
        started(signature, number, len(signatures))
        _kernel(signature).compile(tuple(map(numba_type, signature.types)))
    return len(signatures)


def load_kernels() -> Iterator[KernelSignature]:
    """Read compiled kernels from disk, one a step; those that nobody compiled yet stay as they are."""
    for signature in known_signatures():
        kernel = getattr(import_module(signature.module), signature.function, None)
        types = tuple(map(numba_type, signature.types))
        if kernel is not None and types in _on_disk(kernel):
            kernel.compile(types)
            yield signature


def _on_disk(kernel: Any) -> set[tuple[Any, ...]]:
    """Types that a kernel was compiled for. numba has no public way to ask."""
    return {types for types, *_ in kernel._cache._cache_file._load_index()}


def _kernel(signature: KernelSignature) -> Any:
    return getattr(import_module(signature.module), signature.function)


def numba_type(text: str) -> Any:
    """The type that a word of ``signatures.txt`` stands for."""
    types: Any = import_module("numba").types  # its annotations are partial

    if array := _ARRAY.fullmatch(text):
        return types.Array(getattr(types, array[2]), int(array[3]), "C", readonly=array[1] is not None)
    if text.endswith("*"):
        return types.CPointer(getattr(types, text[:-1]))
    if pair := _TUPLE.fullmatch(text):
        return types.UniTuple(getattr(types, pair[1]), int(pair[2]))
    return getattr(types, text)


def type_text(kind: Any) -> str | None:
    """The word for a type; None for one that only occurs inside kernels, such as a literal."""
    from numba import types

    match kind:
        case types.Literal():
            return None
        case types.Array(layout="C"):
            text = f"{'' if kind.mutable else _READ_ONLY}{_name(kind.dtype)}[{kind.ndim}]"
        case types.CPointer():
            text = f"{_name(kind.dtype)}*"
        case types.UniTuple():
            text = f"{_name(kind.dtype)}x{kind.count}"
        case types.Integer() | types.Float() | types.Boolean():
            text = _name(kind)
        case _:
            return None
    invariant(numba_type(text) == kind, f"{text} does not stand for {kind!r}")
    return text


def _name(kind: Any) -> str:
    return "boolean" if str(kind) == "bool" else str(kind)


def compiled_signatures(module: ModuleType) -> Iterator[KernelSignature]:
    """What is on disk for the kernels of a module that can be called from outside kernels."""
    from numba.core.dispatcher import Dispatcher

    for name, kernel in sorted(vars(module).items()):
        if isinstance(kernel, Dispatcher) and kernel.py_func.__module__ == module.__name__:
            for types in _on_disk(kernel):
                words = [type_text(kind) for kind in types]
                if None not in words:
                    yield KernelSignature(module.__name__, name, tuple(word for word in words if word is not None))
