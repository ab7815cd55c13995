"""Searching bytes 32 at a time, for kernels that read text.

numba compiles a search loop to one comparison a byte. These intrinsics emit vector instructions instead: load 32 bytes,
compare all at once, count trailing zeros of the resulting mask. They read up to 32 bytes from the index on, wherever
the search ends: **every buffer must be allocated with ``PADDING`` bytes after its content**. Buffers are contiguous
arrays of ``uint8``; indexes are ``int64``.

Kernels work on ``pointer(array)`` of flat arrays: an array handed from function to function costs reference counts,
which are most of the time of a function that reads ten bytes. A pointer does not keep its array alive: arrays come in
from the caller of the kernel, who does. With ``NUMBA_BOUNDSCHECK=1`` pointers are the arrays themselves, so that tests
see every access that is out of bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import config as numba_config
from numba import types
from numba.extending import intrinsic

Bytes = npt.NDArray[np.uint8]

PADDING: Final = 64
"""Bytes that must follow the content of a buffer."""
BLOCK: Final = 32
"""Bytes a step; what the ``first_...`` functions return when the block holds nothing of what they look for."""

QUOTE: Final = 34
BACKSLASH: Final = 92
_OPENING: Final = 123
_CLOSING: Final = 125
_BIT_OF_CASE: Final = 32
"""Tells ``[`` from ``{`` and ``]`` from ``}``."""

_BYTE = ir.IntType(8)
_VECTOR = ir.VectorType(_BYTE, BLOCK)
_MASK = ir.IntType(BLOCK)


def _instructions(function: Callable[..., Any]) -> Callable[..., Any]:
    """An intrinsic as its callers see it: without the typing context."""
    made: Callable[..., Any] = intrinsic(function)
    return made


def _constant(byte: int) -> Any:
    return ir.Constant(_VECTOR, [byte] * BLOCK)


def _spread(builder: Any, byte: Any) -> Any:
    """A vector of one byte that is known only at run time."""
    single = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), byte, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), [0] * BLOCK)
    return builder.shuffle_vector(single, ir.Constant(_VECTOR, ir.Undefined), lanes)


def _place(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    is_pointer = isinstance(array_type, types.CPointer)
    data = array if is_pointer else context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _first(builder: Any, found: Any) -> Any:
    """The number of the first true lane, as int64; BLOCK when none is."""
    mask = builder.bitcast(found, _MASK)
    return builder.zext(builder.cttz(mask, ir.Constant(ir.IntType(1), 0)), ir.IntType(64))


def _search(arguments: int, compare: Callable[[Any, Any, list[Any]], Any]) -> Callable[..., Any]:
    """The code generator of a search: ``compare(builder, block, further arguments)`` gives a vector of booleans."""

    def generate(context: Any, builder: Any, signature: Any, args: list[Any]) -> Any:
        place = _place(context, builder, signature.args[0], args[0], args[1])
        return _first(builder, compare(builder, builder.load(place, align=1), args[2 : 2 + arguments]))

    return generate


@_instructions
def _pointer(typing_context: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: list[Any]) -> Any:
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    make_pointer: Any = types.CPointer
    return make_pointer(array.dtype)(array), generate


if getattr(numba_config, "BOUNDSCHECK", False):

    @numba.njit(cache=True, nogil=True)
    def pointer(array: Any) -> Any:
        """The array itself, whose accesses numba checks."""
        return array
else:

    @numba.njit(cache=True, nogil=True)
    def pointer(array: Any) -> Any:
        """What is indexed like ``array``, which is flat, and costs nothing to pass on."""
        return _pointer(array)


@_instructions
def first_equal(typing_context: Any, buffer: Any, index: Any, byte: Any) -> Any:
    """How far after ``index`` ``byte`` stands first; ``BLOCK`` when not within the block."""

    def compare(builder: Any, block: Any, args: list[Any]) -> Any:
        return builder.icmp_unsigned("==", block, _spread(builder, args[0]))

    return types.int64(buffer, types.int64, types.uint8), _search(1, compare)


@_instructions
def first_string_end(typing_context: Any, buffer: Any, index: Any) -> Any:
    """How far the first quote or backslash is."""

    def compare(builder: Any, block: Any, args: list[Any]) -> Any:
        quotes = builder.icmp_unsigned("==", block, _constant(QUOTE))
        return builder.or_(quotes, builder.icmp_unsigned("==", block, _constant(BACKSLASH)))

    return types.int64(buffer, types.int64), _search(0, compare)


@_instructions
def first_bracket(typing_context: Any, buffer: Any, index: Any) -> Any:
    """How far the first quote, brace or square bracket is."""

    def compare(builder: Any, block: Any, args: list[Any]) -> Any:
        folded = builder.or_(block, _constant(_BIT_OF_CASE))
        opening = builder.icmp_unsigned("==", folded, _constant(_OPENING))
        closing = builder.icmp_unsigned("==", folded, _constant(_CLOSING))
        quotes = builder.icmp_unsigned("==", block, _constant(QUOTE))
        return builder.or_(quotes, builder.or_(opening, closing))

    return types.int64(buffer, types.int64), _search(0, compare)


@_instructions
def first_unusual(typing_context: Any, buffer: Any, index: Any) -> Any:
    """How far the first byte is that is a control character or not ASCII."""

    def compare(builder: Any, block: Any, args: list[Any]) -> Any:
        return builder.icmp_signed("<", block, _constant(32))

    return types.int64(buffer, types.int64), _search(0, compare)


@_instructions
def first_escape(typing_context: Any, buffer: Any, index: Any) -> Any:
    """How far the first byte is that JSON escapes: a quote, a backslash, a control character."""

    def compare(builder: Any, block: Any, args: list[Any]) -> Any:
        quotes = builder.icmp_unsigned("==", block, _constant(QUOTE))
        slashes = builder.icmp_unsigned("==", block, _constant(BACKSLASH))
        return builder.or_(builder.or_(quotes, slashes), builder.icmp_unsigned("<", block, _constant(32)))

    return types.int64(buffer, types.int64), _search(0, compare)


@_instructions
def first_difference(typing_context: Any, buffer: Any, left: Any, right: Any) -> Any:
    """How many bytes at ``left`` equal those at ``right``, at most ``BLOCK``."""

    def generate(context: Any, builder: Any, signature: Any, args: list[Any]) -> Any:
        blocks = [
            builder.load(_place(context, builder, signature.args[0], args[0], index), align=1) for index in args[1:]
        ]
        return _first(builder, builder.icmp_unsigned("!=", *blocks))

    return types.int64(buffer, types.int64, types.int64), generate


@_instructions
def copy_block(typing_context: Any, source: Any, index: Any, target: Any, place: Any) -> Any:
    """Copy ``BLOCK`` bytes from ``source[index:]`` to ``target[place:]``."""

    def generate(context: Any, builder: Any, signature: Any, args: list[Any]) -> Any:
        block = builder.load(_place(context, builder, signature.args[0], args[0], args[1]), align=1)
        builder.store(block, _place(context, builder, signature.args[2], args[2], args[3]), align=1)
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64), generate


@numba.njit(cache=True, nogil=True)
def find_byte(buffer: Bytes, index: int, end: int, byte: int) -> int:
    """Where ``byte`` stands first in ``[index, end)``; ``end`` when it does not."""
    while index < end:
        step = first_equal(buffer, index, np.uint8(byte))
        if step < BLOCK:
            return int(min(index + step, end))
        index += BLOCK
    return end


@numba.njit(cache=True, nogil=True)
def find_string_end(buffer: Bytes, index: int, end: int) -> tuple[int, bool]:
    """``(place of the closing quote, whether there are escapes)`` of a string whose first byte after the opening quote
    is at ``index``; the place is -1 when the string does not end before ``end``."""
    escaped = False
    while index < end:
        step = first_string_end(buffer, index)
        if step == BLOCK:
            index += BLOCK
            continue
        index += step
        if index >= end:
            break
        if buffer[index] == QUOTE:
            return index, escaped
        escaped = True
        index += 2
    return -1, escaped


@numba.njit(cache=True, nogil=True)
def skip_spaces(buffer: Bytes, index: int, end: int) -> int:
    """The next place that is neither space, tab, carriage return nor newline."""
    while index < end:
        byte = buffer[index]
        if byte != 32 and byte != 9 and byte != 13 and byte != 10:
            break
        index += 1
    return index


@numba.njit(cache=True, nogil=True)
def count_lines(buffer: Bytes, length: int) -> int:
    """Newlines in ``buffer[:length]``."""
    text, lines, index = pointer(buffer), 0, 0
    while True:
        index = find_byte(text, index, length, 10)
        if index >= length:
            return lines
        lines += 1
        index += 1
