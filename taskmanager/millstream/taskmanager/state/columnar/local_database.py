"""A RocksDB database of one table of the slot: a part of the process's memory that happens to be on disk.

Nothing is logged ahead, nothing of it is in a checkpoint, and it goes with the table.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from rocksdict import Rdict, WriteBatch, WriteOptions

from millstream.core.errors import ExternalError
from millstream.taskmanager.state.rocksdb import RocksMemory


class Spilling(NamedTuple):
    """Where a table keeps what does not fit into its share of the memory."""

    memory: RocksMemory
    work_directory: Path
    """For files of the slot; may not exist yet."""
    max_parallelism: int

    def directory(self) -> Path:
        """The same, which exists now. ``OSError``."""
        self.work_directory.mkdir(parents=True, exist_ok=True)
        return self.work_directory


class LocalDatabase:
    """Keys and values are bytes; ``what`` it holds is for messages.

    Opened when it is first needed. Raises ``ExternalError`` when RocksDB fails.
    """

    def __init__(self, spilling: Spilling, what: str) -> None:
        self._spilling: Final = spilling
        self._memory: Final = spilling.memory
        self._memory.users += 1
        self._what = what
        self._write_options = WriteOptions()
        # The library's stub calls it a method.
        self._write_options.disable_wal = True  # type: ignore[method-assign, assignment]
        self._directory: Path | None = None
        self._db: Rdict | None = None

    @property
    def budget_bytes(self) -> int:
        """What the table may take in memory."""
        return self._memory.share_bytes

    @property
    def directory(self) -> Path:
        """Of the table's files; it is made when it is first needed. ``OSError``."""
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="columns-", dir=self._spilling.directory()))
        return self._directory

    def opened(self) -> Rdict:
        if self._db is None:
            path = self.directory / "db"
            try:
                self._db = Rdict(str(path), self._memory.options())
            except Exception as error:
                raise ExternalError(f"RocksDB cannot open its database in {path}: {error}") from error
        return self._db

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The value of each key. In ascending order, keys of one block are found together."""
        try:
            return cast("list[bytes | None]", self.opened().get(cast("list[Any]", keys)))
        except Exception as error:
            raise self._failed("read", error) from error

    def write(self, batch: WriteBatch) -> None:
        try:
            self.opened().write(batch, self._write_options)
        except Exception as error:
            raise self._failed("write", error) from error

    def estimated_bytes(self) -> int:
        if self._db is None:
            return 0
        return int(self._db.property_int_value("rocksdb.estimate-live-data-size") or 0)

    def close(self) -> None:
        """Delete everything, and give the share of the memory back."""
        self._memory.users -= 1
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _failed(self, action: str, error: Exception) -> ExternalError:
        return ExternalError(f"RocksDB cannot {action} {self._what} in {self._directory}: {error}")
