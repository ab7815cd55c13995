"""Lines of JSON to columns: only the wanted fields are looked at.

The schema is a tree: inner nodes are objects, leaves are wanted values, each with a column (its *slot*) in ``cells``
and ``states``. A line is walked from left to right. Unwanted values are skipped with vector instructions, wanted ones
are decoded into their cells, and as soon as all are found the rest of the line is not read at all; it must only end
with a brace. Keys mostly come in the order of the line before, so the key met last at this step is compared first, as
one block of bytes.

What is skipped is not checked: of a value nobody wants, only brackets and quotes must match. Of a key that comes twice
the first counts. A line is a row or a bad line, never half of each.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from millstream.core.kernels.byte_scan import (
    BLOCK,
    QUOTE,
    Bytes,
    find_byte,
    find_string_end,
    first_bracket,
    first_difference,
    pointer,
    skip_spaces,
)
from millstream.core.kernels.json_text import unescape
from millstream.core.kernels.number_text import (
    INVALID,
    LATER,
    NOT_A_NUMBER,
    NULL,
    OUT_OF_RANGE,
    VALUE,
    pack_span,
    read_decimal,
    read_double,
    read_integer,
)
from millstream.core.kernels.time_text import read_date, read_time, read_timestamp

Nodes = npt.NDArray[np.int64]
"""The tree, ``NODE_FIELDS`` numbers a node (the constants below), the root first; children of a node stand together."""
Shape = npt.NDArray[np.int64]
"""What was met at each step of the line before: parent node, place and length of the key, child node."""

KIND, SLOT, FIRST_CHILD, CHILDREN, KEY_START, KEY_LENGTH, LEAVES, LOW, HIGH = range(9)
NODE_FIELDS: Final = 9
"""``KEY_START`` and ``KEY_LENGTH`` place the name in ``keys``. ``LEAVES`` counts the wanted values below. ``LOW`` and
``HIGH``: bounds of integers; scale and precision of decimals; digits and ``separator * 2 + zoned`` of timestamps."""
LENIENT: Final = LOW
"""In the root: 1 when values that do not fit become NULL."""

OBJECT, INTEGER, DOUBLE, BOOLEAN, STRING, DECIMAL, DATE, TIME, TIMESTAMP, JSON = range(10)
"""Kinds. ``STRING`` and ``JSON`` cells hold spans; those of ``JSON`` are the text of any value."""

NO_OBJECT, NO_KEY, NO_COLON, OPEN_STRING, NO_COMMA, CUT_OFF, WRONG_VALUE, TOO_LARGE, TRAILING, TOO_DEEP = range(10)
"""Reasons of bad lines."""

DEPTH_MAX: Final = 32
STEPS_MAX: Final = 256
SHAPE_FIELDS: Final = 4
BAD_FIELDS: Final = 4
SCRATCH_BYTES: Final = 1024
_UNKNOWN: Final = -1


@numba.njit(cache=True, nogil=True)
def _find_child(
    buffer: Bytes, start: int, stop: int, escaped: bool, nodes: Nodes, keys: Bytes, node: int, scratch: Bytes
) -> int:
    """The child whose name is in ``[start, stop)``."""
    text, begin, length = buffer, start, stop - start
    if escaped:
        if length > SCRATCH_BYTES:
            return _UNKNOWN
        length = unescape(buffer, start, stop, False, scratch, 0)
        text, begin = scratch, 0
    for child in range(
        nodes[node * NODE_FIELDS + FIRST_CHILD],
        nodes[node * NODE_FIELDS + FIRST_CHILD] + nodes[node * NODE_FIELDS + CHILDREN],
    ):
        if nodes[child * NODE_FIELDS + KEY_LENGTH] == length:
            place = nodes[child * NODE_FIELDS + KEY_START]
            same = True
            for i in range(length):
                if keys[place + i] != text[begin + i]:
                    same = False
                    break
            if same:
                return child
    return _UNKNOWN


@numba.njit(cache=True, nogil=True)
def _skip_value(buffer: Bytes, index: int, end: int) -> int:
    """The place after the value that starts at ``index``; ``-1 - reason`` when it does not end."""
    if index >= end:
        return -1 - CUT_OFF
    byte = buffer[index]
    if byte == QUOTE:
        close, _ = find_string_end(buffer, index + 1, end)
        return close + 1 if close >= 0 else -1 - OPEN_STRING
    if byte != 123 and byte != 91:
        start = index
        while index < end:
            byte = buffer[index]
            if byte <= 32 or byte == 44 or byte == 125 or byte == 93:
                break
            index += 1
        return index if index > start else -1 - WRONG_VALUE
    depth = 0
    while index < end:
        step = first_bracket(buffer, index)
        index += step
        if step == BLOCK:
            continue
        if index >= end:
            break
        byte = buffer[index]
        index += 1
        if byte == QUOTE:
            close, _ = find_string_end(buffer, index, end)
            if close < 0:
                return -1 - OPEN_STRING
            index = close + 1
        elif byte == 123 or byte == 91:
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                return index
    return -1 - CUT_OFF


@numba.njit(cache=True, nogil=True)
def _is_word(buffer: Bytes, index: int, end: int, first: int, second: int, third: int, fourth: int) -> bool:
    return (
        index + 4 <= end
        and buffer[index] == first
        and buffer[index + 1] == second
        and buffer[index + 2] == third
        and buffer[index + 3] == fourth
    )


@numba.njit(cache=True, nogil=True)
def _ends_value(buffer: Bytes, index: int, end: int) -> bool:
    if index >= end:
        return True
    byte = buffer[index]
    return bool(byte == 44 or byte == 125 or byte == 93 or byte <= 32)


@numba.njit(cache=True, nogil=True)
def _read_boolean(buffer: Bytes, index: int, end: int, cells: npt.NDArray[np.int64], cell: int) -> int:
    if _is_word(buffer, index, end, 116, 114, 117, 101):
        cells[cell] = 1
        return index + 4
    if _is_word(buffer, index, end, 102, 97, 108, 115) and index + 5 <= end and buffer[index + 4] == 101:
        cells[cell] = 0
        return index + 5
    return NOT_A_NUMBER


@numba.njit(cache=True, nogil=True)
def _read_plain(
    buffer: Bytes,
    index: int,
    end: int,
    nodes: Nodes,
    node: int,
    doubles: npt.NDArray[np.float64],
    cells: npt.NDArray[np.int64],
    states: npt.NDArray[np.uint8],
    cell: int,
) -> int:
    """A number or a boolean in ``[index, end)``: the place after it, or a negative reason of ``number_text``."""
    kind = nodes[node + KIND]
    states[cell] = VALUE
    if kind == INTEGER:
        after = read_integer(buffer, index, end, nodes[node + LOW], nodes[node + HIGH], cells, cell)
    elif kind == DOUBLE:
        after = read_double(buffer, index, end, doubles, cells, states, cell)
    elif kind == DECIMAL:
        after = read_decimal(buffer, index, end, nodes[node + LOW], nodes[node + HIGH], cells, states, cell)
    else:
        after = _read_boolean(buffer, index, end, cells, cell)
    return after


@numba.njit(cache=True, nogil=True)
def _read_quoted(
    buffer: Bytes,
    start: int,
    stop: int,
    nodes: Nodes,
    node: int,
    doubles: npt.NDArray[np.float64],
    cells: npt.NDArray[np.int64],
    states: npt.NDArray[np.uint8],
    cell: int,
) -> int:
    """A value between quotes that is not text: a time, or a number or boolean written as a string."""
    kind = nodes[node + KIND]
    states[cell] = VALUE
    if kind == TIMESTAMP:
        style = nodes[node + HIGH]
        good = read_timestamp(buffer, start, stop, nodes[node + LOW], style >> 1, (style & 1) == 1, cells, cell)
    elif kind == DATE:
        good = read_date(buffer, start, stop, cells, cell)
    elif kind == TIME:
        good = read_time(buffer, start, stop, cells, cell)
    else:
        while start < stop and buffer[start] == 32:
            start += 1
        while start < stop and buffer[stop - 1] == 32:
            stop -= 1
        after = _read_plain(buffer, start, stop, nodes, node, doubles, cells, states, cell)
        if after == OUT_OF_RANGE:
            return OUT_OF_RANGE
        good = after == stop
        if not good and kind == DOUBLE and start < stop and _is_float_word(buffer, start, stop):
            cells[cell] = pack_span(start, stop, False)
            states[cell] = LATER
            good = True
    return stop if good else NOT_A_NUMBER


@numba.njit(cache=True, nogil=True)
def _is_float_word(buffer: Bytes, start: int, stop: int) -> bool:
    """``NaN``, ``Infinity`` or ``-Infinity``."""
    if stop - start == 3:
        return bool(buffer[start] == 78 and buffer[start + 1] == 97 and buffer[start + 2] == 78)
    if buffer[start] == 45:
        start += 1
    return (
        stop - start == 8
        and _is_word(buffer, start, stop, 73, 110, 102, 105)
        and _is_word(buffer, start + 4, stop, 110, 105, 116, 121)
    )


@numba.njit(cache=True, nogil=True)
def _read_value(
    buffer: Bytes,
    index: int,
    end: int,
    nodes: Nodes,
    node: int,
    doubles: npt.NDArray[np.float64],
    cells: npt.NDArray[np.int64],
    states: npt.NDArray[np.uint8],
    cell: int,
) -> int:
    """The wanted leaf value at ``index``: the place after it, or ``-1 - reason``."""
    if index >= end:
        return -1 - CUT_OFF
    kind = nodes[node + KIND]
    byte = buffer[index]
    if byte == 110 and _is_word(buffer, index, end, 110, 117, 108, 108) and _ends_value(buffer, index + 4, end):
        states[cell] = NULL
        return index + 4
    if byte == QUOTE and kind != JSON:
        close, escaped = find_string_end(buffer, index + 1, end)
        if close < 0:
            return -1 - OPEN_STRING
        if kind == STRING:
            cells[cell] = pack_span(index + 1, close, escaped)
            states[cell] = VALUE
            return close + 1
        after = _read_quoted(buffer, index + 1, close, nodes, node, doubles, cells, states, cell)
        if after < 0:
            return -1 - (TOO_LARGE if after == OUT_OF_RANGE else WRONG_VALUE)
        return close + 1
    if kind in (JSON, STRING):
        after = _skip_value(buffer, index, end)
        if after >= 0:
            cells[cell] = pack_span(index, after, False)
            states[cell] = VALUE if kind == JSON else LATER
        return after
    if kind in (TIMESTAMP, DATE, TIME):
        return -1 - WRONG_VALUE
    after = _read_plain(buffer, index, end, nodes, node, doubles, cells, states, cell)
    if after < 0 or not _ends_value(buffer, after, end):
        return -1 - (TOO_LARGE if after == OUT_OF_RANGE else WRONG_VALUE)
    return after


@numba.njit(cache=True, nogil=True)
def _read_leaf(
    buffer: Bytes,
    index: int,
    end: int,
    nodes: Nodes,
    node: int,
    doubles: npt.NDArray[np.float64],
    cells: npt.NDArray[np.int64],
    states: npt.NDArray[np.uint8],
    cell: int,
) -> int:
    """``_read_value``, but a value that does not fit is skipped where the tree is ``LENIENT``."""
    after = _read_value(buffer, index, end, nodes, node, doubles, cells, states, cell)
    if nodes[LENIENT] and (after == -1 - WRONG_VALUE or after == -1 - TOO_LARGE):
        states[cell] = INVALID
        after = _skip_value(buffer, index, end)
    return after


@numba.njit(cache=True, nogil=True)
def _read_key(
    buffer: Bytes, index: int, end: int, nodes: Nodes, keys: Bytes, node: int, shape: Shape, step: int, scratch: Bytes
) -> tuple[int, int]:
    """``(child node, place after the colon)`` of a key that was not expected; the place is ``-1 - reason``."""
    if index >= end or buffer[index] != QUOTE:
        return _UNKNOWN, -1 - NO_KEY
    close, escaped = find_string_end(buffer, index + 1, end)
    if close < 0:
        return _UNKNOWN, -1 - OPEN_STRING
    child = _find_child(buffer, index + 1, close, escaped, nodes, keys, node, scratch)
    after = skip_spaces(buffer, close + 1, end)
    if after >= end or buffer[after] != 58:
        return child, -1 - NO_COLON
    if step < STEPS_MAX:
        shape[step * SHAPE_FIELDS + 0] = node
        shape[step * SHAPE_FIELDS + 1] = index
        shape[step * SHAPE_FIELDS + 2] = after + 1 - index
        shape[step * SHAPE_FIELDS + 3] = child
    return child, after + 1


@numba.njit(cache=True, nogil=True)
def _next_key(
    buffer: Bytes, index: int, end: int, nodes: Nodes, keys: Bytes, node: int, shape: Shape, step: int, scratch: Bytes
) -> tuple[int, int]:
    """``(child node, place of its value)``: first a look at what the line before had here. Place as ``_read_key``."""
    if (
        step < STEPS_MAX
        and shape[step * SHAPE_FIELDS + 0] == node
        and shape[step * SHAPE_FIELDS + 2] <= BLOCK
        and index + shape[step * SHAPE_FIELDS + 2] <= end
        and first_difference(buffer, index, shape[step * SHAPE_FIELDS + 1]) >= shape[step * SHAPE_FIELDS + 2]
    ):
        child = shape[step * SHAPE_FIELDS + 3]
        index += shape[step * SHAPE_FIELDS + 2]
    else:
        child, index = _read_key(buffer, index, end, nodes, keys, node, shape, step, scratch)
    if 0 <= index < end and buffer[index] <= 32:
        index = skip_spaces(buffer, index, end)
    return child, index


@numba.njit(cache=True, nogil=True)
def _leave_objects(
    buffer: Bytes, index: int, end: int, stack: npt.NDArray[np.int64], node: int, depth: int, left: int
) -> tuple[int, int, int, int]:
    """What follows a value: the ends of objects, then a comma. ``(place of the next key, its object, depth, values that
    are still wanted)``; the depth is -1 at the end of the row; the place is ``-1 - reason`` for a bad line."""
    while True:
        index = skip_spaces(buffer, index, end)
        if index >= end:
            return -1 - CUT_OFF, node, depth, left
        if buffer[index] == 44:
            return skip_spaces(buffer, index + 1, end), node, depth, left
        if buffer[index] != 125:
            return -1 - NO_COMMA, node, depth, left
        index += 1
        depth -= 1
        if depth < 0:
            return (index if index == end else -1 - TRAILING), 0, depth, left
        node, left = stack[depth * 2 + 0], stack[depth * 2 + 1]
        if left == 0:
            return (index if buffer[end - 1] == 125 else -1 - CUT_OFF), node, -1, 0


@numba.njit(cache=True, nogil=True)
def _read_line(
    buffer: Bytes,
    index: int,
    end: int,
    nodes: Nodes,
    keys: Bytes,
    doubles: npt.NDArray[np.float64],
    cells: npt.NDArray[np.int64],
    states: npt.NDArray[np.uint8],
    room: int,
    row: int,
    stamp: int,
    seen: npt.NDArray[np.int64],
    shape: Shape,
    stack: npt.NDArray[np.int64],
    scratch: Bytes,
) -> tuple[int, int, int]:
    """``(0, -, -)`` for a row; ``(-1 - reason, place, node)`` for a bad line. Spaces around are cut off already."""
    if buffer[index] != 123:
        return -1 - NO_OBJECT, index, 0
    node, depth, step, left = 0, 0, 0, nodes[LEAVES]
    index, opened = skip_spaces(buffer, index + 1, end), True
    while left > 0:
        empty = opened and index < end and buffer[index] == 125
        opened = False
        if not empty:
            start = index
            child, index = _next_key(buffer, index, end, nodes, keys, node, shape, step, scratch)
            if index < 0:
                return index, start, node
            step += 1
            start = index
            base = child * NODE_FIELDS
            if child < 0 or seen[child] == stamp:
                index = _skip_value(buffer, index, end)
            else:
                seen[child] = stamp
                cell = nodes[base + SLOT] * room + row
                if nodes[base + KIND] != OBJECT:
                    index = _read_leaf(buffer, index, end, nodes, base, doubles, cells, states, cell)
                    left -= 1
                elif index < end and buffer[index] == 123 and depth < DEPTH_MAX:
                    stack[depth * 2 + 0] = node
                    stack[depth * 2 + 1] = left - nodes[base + LEAVES]
                    depth += 1
                    if nodes[base + SLOT] >= 0:
                        states[cell] = VALUE
                        left -= 1
                    node = child
                    index = skip_spaces(buffer, index + 1, end)
                    opened = True
                elif nodes[LENIENT] or _is_word(buffer, index, end, 110, 117, 108, 108):
                    if nodes[base + SLOT] >= 0:
                        states[cell] = NULL
                    left -= nodes[base + LEAVES]
                    index = _skip_value(buffer, index, end)
                else:
                    return -1 - (TOO_DEEP if depth == DEPTH_MAX else WRONG_VALUE), index, child
            if index < 0:
                return index, start, max(child, 0)
        if not opened or (index < end and buffer[index] == 125):
            if left == 0:
                break
            start, opened = index, False
            index, node, depth, left = _leave_objects(buffer, index, end, stack, node, depth, left)
            if index < 0:
                return index, (end if index == -1 - CUT_OFF else start), node
            if depth < 0:
                return 0, end, 0
    return (0, end, 0) if buffer[end - 1] == 125 else (-1 - CUT_OFF, end, 0)


@numba.njit(cache=True, nogil=True)
def decode_lines(
    buffer: Bytes,
    length: int,
    nodes: Nodes,
    keys: Bytes,
    doubles: npt.NDArray[np.float64],
    cells: npt.NDArray[np.int64],
    states: npt.NDArray[np.uint8],
    room: int,
    unseen: int,
    starts: npt.NDArray[np.int64],
    bad: npt.NDArray[np.int64],
    work: npt.NDArray[np.int64],
    scratch: Bytes,
) -> tuple[int, int]:
    """``(rows, bad lines)`` of ``buffer[:length]``. Empty lines are neither.

    All arrays are flat. ``cells`` and ``states`` hold ``room`` rows a slot, one slot after the other, states all
    ``unseen`` before, which those of missing fields stay; ``doubles`` is the memory of ``cells``. ``starts[row]``
    receives where the row's line begins; ``bad`` four numbers a bad line: its begin, the place of the mistake, the
    reason, and the node that was being read. Both have room for as many rows as there are lines. ``work`` is scratch
    space of ``work_size`` numbers, ``scratch`` of ``SCRATCH_BYTES``. If the tree is ``LENIENT``, values that do not
    fit get the state ``INVALID`` instead of making their line a bad one, and an object that is none counts as null.
    """
    count = len(nodes) // NODE_FIELDS
    slots = len(states) // room
    text, tree, names = pointer(buffer), pointer(nodes), pointer(keys)
    places, floats, flags = pointer(cells), pointer(doubles), pointer(states)
    seen, shape = pointer(work[:count]), pointer(work[count : count + STEPS_MAX * SHAPE_FIELDS])
    stack = pointer(work[count + STEPS_MAX * SHAPE_FIELDS :])
    work[:] = -1
    rows, faults, stamp, start = 0, 0, 0, 0
    while start < length:
        newline = find_byte(text, start, length, 10)
        index, end = skip_spaces(text, start, newline), newline
        while end > index and text[end - 1] <= 32:
            end -= 1
        if index < end:
            status, place, node = _read_line(
                text,
                index,
                end,
                tree,
                names,
                floats,
                places,
                flags,
                room,
                rows,
                stamp,
                seen,
                shape,
                stack,
                pointer(scratch),
            )
            stamp += 1
            if status == 0:
                starts[rows] = start
                rows += 1
            else:
                bad[faults * BAD_FIELDS] = start
                bad[faults * BAD_FIELDS + 1] = place
                bad[faults * BAD_FIELDS + 2] = -1 - status
                bad[faults * BAD_FIELDS + 3] = node
                faults += 1
                for slot in range(slots):
                    flags[slot * room + rows] = unseen
        start = newline + 1
    return rows, faults


def work_size(nodes: int) -> int:
    """How many numbers ``work`` must hold for a tree of ``nodes``."""
    return nodes + STEPS_MAX * SHAPE_FIELDS + DEPTH_MAX * 2
