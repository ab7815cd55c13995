"""The state that savepoints and checkpoints hold: read it into Arrow, or write a savepoint for a job to start from."""

from millstream.state.reading import KeyedStateInfo, OperatorInfo, Savepoint
from millstream.state.writing import SavepointWriter

__all__ = ["KeyedStateInfo", "OperatorInfo", "Savepoint", "SavepointWriter"]
