"""From a deployment message to a running task: load the user's code, build the chain, connect it to the network."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from millstream.core.checkpoint.local_copies import CopyingStorage, LocalCopies
from millstream.core.checkpoint.storage import Storage, open_storage
from millstream.core.clock import Clock
from millstream.core.elements.batch import Batch
from millstream.core.errors import ErrorPlace, MillstreamError, UserCodeError, invariant
from millstream.core.failpoints import failpoint
from millstream.core.graph.specs import ChainedOperator, VertexPayload
from millstream.core.ids import PartitionId
from millstream.core.keys import KeyGroupCache, key_group_range, key_groups
from millstream.core.protocol_log import record
from millstream.core.serde.evolution import loading_code, saved_with
from millstream.core.table.specs import ColumnKey
from millstream.proto.v1 import taskmanager_pb2
from millstream.taskmanager.checkpointing.state_files import StateReader
from millstream.taskmanager.network.environment import NetworkEnvironment
from millstream.taskmanager.network.gate import InputGate
from millstream.taskmanager.network.partition import ResultPartition
from millstream.taskmanager.network.partitioners import column_key_groups
from millstream.taskmanager.operators.registry import create_operator
from millstream.taskmanager.operators.rows import as_rows, keys_of
from millstream.taskmanager.task.chain import OperatorChain, build_chain
from millstream.taskmanager.task.context import SubtaskInfo, TaskOperatorContext
from millstream.taskmanager.task.task import Task


def subtask_info(
    request: taskmanager_pb2.DeploySubtasksRequest, deployment: taskmanager_pb2.SubtaskDeployment
) -> SubtaskInfo:
    return SubtaskInfo(
        job_id=request.job_id,
        job_name=request.job_name,
        vertex_id=deployment.subtask.vertex_id,
        vertex_name=deployment.vertex_name,
        subtask_index=deployment.subtask.index,
        attempt=deployment.subtask.attempt,
        parallelism=deployment.parallelism,
        max_parallelism=deployment.max_parallelism,
    )


def load_payload(path: Path, info: SubtaskInfo) -> VertexPayload:
    """Unpickle the operators of a vertex; errors speak of the user's code, for that is what fails to load."""
    try:
        with loading_code():
            payload = cloudpickle.loads(path.read_bytes())
    except MillstreamError:
        raise
    except ModuleNotFoundError as error:
        raise UserCodeError(
            f"the code of {info} needs the module {error.name!r}, which is not installed where its TaskManager runs. "
            f"Install it there; modules beside the script are shipped with the job without being asked for.",
            place=ErrorPlace(operator=info.vertex_name),
        ) from error
    except Exception as error:
        raise UserCodeError(
            f"the code of {info} could not be loaded in its slot: {type(error).__name__}: {error}",
            place=ErrorPlace(operator=info.vertex_name),
        ) from error
    invariant(isinstance(payload, VertexPayload), f"the payload of {info} is a {type(payload).__name__}")
    assert isinstance(payload, VertexPayload)
    return payload


def build_task_chain(task: Task, payload: VertexPayload, clock: Clock, configuration: dict[str, Any]) -> OperatorChain:
    """The operators of ``task``, not opened."""

    def create_context(chained: ChainedOperator, index: int) -> TaskOperatorContext:
        return TaskOperatorContext(task.info, chained, index, clock, configuration, task)

    return build_chain(list(payload.operators), create_operator, create_context)


def connect_outputs(
    chain: OperatorChain,
    deployment: taskmanager_pb2.SubtaskDeployment,
    payload: VertexPayload,
    network: NetworkEnvironment,
) -> list[ResultPartition]:
    """Create one partition an output edge and hang it to the operator it leaves."""
    payloads = {output.edge_id: output for output in payload.outputs}
    partitions: list[ResultPartition] = []
    for edge in deployment.outputs:
        output = payloads[edge.edge_id]
        partition = network.create_partition(
            PartitionId(edge.edge_id, deployment.subtask.index, deployment.subtask.attempt),
            edge,
            output,
            deployment.subtask.index,
            deployment.max_parallelism,
            payload.generic_types,
            payload.buffer_timeout_ms,
        )
        chain.output_of(output.source_operator).connect_partition(partition, output.side_output)
        partitions.append(partition)
    return partitions


def connect_inputs(deployment: taskmanager_pb2.SubtaskDeployment, network: NetworkEnvironment) -> list[InputGate]:
    """One gate an input of the head; several edges into one input (a union) share its gate."""
    by_input: dict[int, list[taskmanager_pb2.InputEdge]] = {}
    for edge in deployment.inputs:
        by_input.setdefault(edge.input_index, []).append(edge)
    return [network.create_gate(edges, deployment.subtask.index) for _, edges in sorted(by_input.items())]


def _own_rows(chain: OperatorChain, task: Task, groups: range) -> dict[int, Callable[[Batch], Batch]]:
    """By edge: keeps the rows whose keys are the subtask's."""
    keep: dict[int, Callable[[Batch], Batch]] = {}
    chained = chain.head.chained
    cache = KeyGroupCache(task.info.max_parallelism)

    def of_input(input_index: int) -> Callable[[Batch], Batch]:
        def own(batch: Batch) -> Batch:
            selector = chained.key_selectors[input_index]
            if isinstance(selector, ColumnKey):
                found = column_key_groups(selector, batch, task.info.max_parallelism)
            else:
                keys = keys_of(as_rows(batch), selector, chained)
                found = key_groups(keys, task.info.max_parallelism, cache)
            return batch.take(np.flatnonzero((found >= groups.start) & (found < groups.stop)))

        return own

    for gate in task.gates:
        for edge_id, _ in gate.sources:
            keep[edge_id] = of_input(gate.input_index)
    return keep


def start_task(
    task: Task,
    deployment: taskmanager_pb2.SubtaskDeployment,
    payload_path: Path,
    network: NetworkEnvironment,
    clock: Clock,
    configuration: dict[str, Any],
    copies: LocalCopies | None = None,
) -> None:
    """Load, connect and open. Any error fails the task, and only it.

    ``copies``: of state files on this machine, to be read instead of the storage.
    """
    try:
        payload = load_payload(payload_path, task.info)
        chain = build_task_chain(task, payload, clock, configuration)
        gc.disable()  # a large state is many objects, all of which stay
        groups = key_group_range(task.info.subtask_index, task.info.max_parallelism, task.info.parallelism)
        reader = None
        if deployment.HasField("restored"):
            failpoint("restore.read")
            storage: Storage = open_storage(deployment.restored.directory, configuration)
            if copies is not None:
                storage = CopyingStorage(storage, copies)
            reader = StateReader(storage, deployment.restored, task.info)
            restored = reader.operators(groups)
            for member in chain.members:
                snapshot = restored.get(member.chained.operator_id)
                if snapshot is not None:
                    member.operator.restore(snapshot)
            record("state.restored", **task.info.identity(), path=deployment.restored.directory)
            failpoint("restore.done")
        task.partitions = connect_outputs(chain, deployment, payload, network)
        task.gates = connect_inputs(deployment, network)
        task.reads = [
            (edge.edge_id, channel.producer, channel.attempt) for edge in deployment.inputs for channel in edge.channels
        ]
        if reader is not None:
            failpoint("restore.in-flight")
            task.restore_in_flight(reader.in_flight(_own_rows(chain, task, groups)))
            failpoint("restore.open")
        with saved_with({}):  # operators read what they restore when they are opened
            task.start(chain, task.gates, task.partitions)
    except Exception as error:  # user code runs here: whatever it raises is this task's failure
        task.fail(error)
    finally:
        gc.enable()
        gc.freeze()
