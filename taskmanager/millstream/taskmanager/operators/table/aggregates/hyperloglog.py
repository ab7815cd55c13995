"""APPROX_COUNT_DISTINCT by HyperLogLog: 4096 registers a group, a standard error of 1.6 %.

Registers are those of Flajolet et al. (2007) over 64-bit hashes; small counts are corrected by linear counting, as
HyperLogLog++ does. Rows cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.kernels.groups import Grouping
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.taskmanager.operators.table.aggregates.accumulator import (
    Accumulator,
    AggregateRows,
    BoolArray,
    Int64Array,
    Stores,
    argument,
    non_null,
)
from millstream.taskmanager.operators.table.aggregates.results import fixed_array
from millstream.taskmanager.state.columnar.row_encoding import encode_rows, row_hashes

_BITS: Final = 12
_REGISTERS: Final = 1 << _BITS
_BIAS: Final = 0.7213 / (1 + 1.079 / _REGISTERS)

Registers = npt.NDArray[np.uint8]


@numba.njit(cache=True, nogil=True)
def _observe(groups: Int64Array, hashes: Int64Array, registers: Registers) -> None:
    for i in range(len(groups)):
        x = np.uint64(hashes[i]) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
        place = np.int64(x >> np.uint64(64 - _BITS))
        rest = (x << np.uint64(_BITS)) | np.uint64(_REGISTERS - 1)
        rank = 1
        while rest >> np.uint64(63) == np.uint64(0):
            rest <<= np.uint64(1)
            rank += 1
        if rank > registers[groups[i], place]:
            registers[groups[i], place] = rank


class ApproximateCount(Accumulator):
    """The registers of a group are one binary value."""

    def __init__(self, call: AggregateCall, position: int) -> None:
        super().__init__(call, position)
        self._grouping = Grouping()

    def fields(self) -> list[pa.Field]:
        return [pa.field(self.name("registers"), pa.large_binary())]

    def bind(self, stores: Stores) -> None:
        self._column = stores.group.column(self.name("registers"))

    def start(self, slots: Int64Array) -> None:
        self._column.clear(slots)

    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        valid = non_null(rows, self.call, valid)
        positions = np.flatnonzero(valid) if len(valid) else np.arange(len(rows.slots))
        if not len(positions):
            return
        groups = self._grouping.of(rows.slots[positions])
        values = argument(rows, self.call).take(pa.array(positions))
        registers = self._registers(groups.slots)
        _observe(groups.of_rows, row_hashes(encode_rows([values], len(values))), registers)
        self._store(groups.slots, registers)

    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        groups = self._grouping.of(slots)
        registers = self._registers(groups.slots)
        np.maximum.at(registers, groups.of_rows, other._registers(other_slots))
        self._store(groups.slots, registers)

    def result(self, slots: Int64Array) -> pa.Array:
        registers = self._registers(slots)
        estimates = _BIAS * _REGISTERS**2 / np.sum(np.exp2(-registers.astype(np.float64)), axis=1)
        empty = np.count_nonzero(registers == 0, axis=1)
        linear = _REGISTERS * np.log(_REGISTERS / np.maximum(empty, 1))
        small = (estimates <= 2.5 * _REGISTERS) & (empty > 0)
        return fixed_array(np.rint(np.where(small, linear, estimates)).astype(np.int64), None, self.kind)

    def _registers(self, slots: Int64Array) -> Registers:
        """Shape ``(slots, registers)``."""
        stored = self._column.gather(slots)
        registers = np.zeros((len(slots), _REGISTERS), np.uint8)
        known = np.flatnonzero(stored.is_valid().to_numpy(zero_copy_only=False))
        data = stored.buffers()[2]
        if len(known) and data is not None:
            registers[known] = np.frombuffer(data, np.uint8, len(known) * _REGISTERS).reshape(-1, _REGISTERS)
        return registers

    def _store(self, slots: Int64Array, registers: Registers) -> None:
        offsets = np.arange(len(slots) + 1, dtype=np.int64) * _REGISTERS
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(registers))]
        self._column.set(slots, pa.Array.from_buffers(pa.large_binary(), len(slots), buffers, 0))
