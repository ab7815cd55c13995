"""Kernels compiled ahead: the list of them, and its words for types."""

from __future__ import annotations

import inspect
from importlib import import_module

import numpy as np
import pytest
from numba import typeof, types

from millstream.core.kernels.ahead import (
    KernelSignature,
    compile_kernels,
    compiled_signatures,
    known_signatures,
    load_kernels,
    numba_type,
    type_text,
)


@pytest.mark.parametrize(
    "kind",
    [
        types.int64,
        types.boolean,
        types.float64,
        types.CPointer(types.uint8),
        types.UniTuple(types.uint64, 2),
        typeof(np.zeros(1, np.int32)),
        typeof(np.zeros((2, 2), np.bool_)),
        typeof(np.frombuffer(b"12345678", np.int64)),
    ],
    ids=str,
)
def test_a_word_stands_for_one_type(kind: types.Type) -> None:
    text = type_text(kind)
    assert text is not None
    assert numba_type(text) == kind


@pytest.mark.parametrize("kind", [types.literal(3), types.unicode_type])
def test_types_of_inner_kernels_have_no_word(kind: types.Type) -> None:
    assert type_text(kind) is None


@pytest.mark.parametrize("signature", known_signatures(), ids=lambda signature: signature.function)
def test_each_line_names_a_kernel_with_as_many_parameters(signature: KernelSignature) -> None:
    kernel = getattr(import_module(signature.module), signature.function)
    assert len(signature.types) == len(inspect.signature(kernel.py_func).parameters)
    for word in signature.types:
        numba_type(word)


def test_compiled_kernels_are_on_disk_and_load(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("millstream.core.kernels.scatter")
    wanted = [signature for signature in known_signatures() if signature.module == module.__name__]
    assert wanted
    monkeypatch.setattr("millstream.core.kernels.ahead.known_signatures", lambda: wanted)
    heard: list[KernelSignature] = []

    assert compile_kernels(lambda signature, number, count: heard.append(signature)) == len(wanted)

    assert heard == wanted
    assert set(compiled_signatures(module)) >= set(wanted)
    assert list(load_kernels()) == wanted
