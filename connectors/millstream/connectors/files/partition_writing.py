"""Dividing batches among the directories of a partitioned table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.connectors.files.formats.column_encoders import appended_records
from millstream.connectors.files.partitions import DEFAULT_PARTITION
from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.table.projection import zero_column_batch

_ESCAPED = {code: f"%{code:02X}" for code in [*range(32), 127, *b"\"#%'*/:=?\\{}[]^"]}
"""What Hive, and with it Flink, does not leave in the names of directories."""


@dataclass(frozen=True)
class Partitioning:
    """``keys``: the partition columns, whose values name directories and are not in the files."""

    keys: tuple[str, ...]
    default_name: str = DEFAULT_PARTITION

    def divide(self, batch: Batch) -> Iterator[tuple[str, Batch]]:
        """``(directory below the table's, rows that belong there)``, in the order of first appearance."""
        records = appended_records(batch)
        stored = records.drop_columns(list(self.keys))
        if not stored.schema.names:
            stored = zero_column_batch(records.num_rows)
        names = [self._steps(records.column(key), key) for key in self.keys]
        codes = np.zeros(records.num_rows, np.int64)
        for steps, numbers in names:
            codes = codes * len(steps) + numbers
        _, firsts, groups = np.unique(codes, return_index=True, return_inverse=True)
        for group in np.argsort(firsts).tolist():
            row = int(firsts[group])
            directory = "/".join(steps[int(numbers[row])] for steps, numbers in names)
            if len(firsts) == 1:
                yield directory, ArrowBatch(stored)
            else:
                yield directory, ArrowBatch(stored.take(pa.array(np.flatnonzero(groups == group))))

    def _steps(self, column: pa.Array, key: str) -> tuple[list[str], npt.NDArray[np.int64]]:
        """The directory name of each distinct value, and the number of each row's."""
        encoded = column.dictionary_encode(null_encoding="encode")
        texts = encoded.dictionary.cast(pa.string()).to_pylist()
        numbers = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return [f"{key}={text.translate(_ESCAPED) if text else self.default_name}" for text in texts], numbers
