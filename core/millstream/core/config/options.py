"""Every setting of Millstream: its key and the type of its value.

Defaults and descriptions stand beside each other in ``default.toml``, which the program reads and the reference page
is made of. Keys are Flink's where Flink has the setting. Read one as ``configuration[options.HEARTBEAT_INTERVAL]``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from millstream.core.config.values import (
    Boolean,
    Choice,
    DurationKind,
    Integer,
    Kind,
    LocationKind,
    Optional,
    PathKind,
    Size,
    Text,
    TextMap,
)

if TYPE_CHECKING:
    from millstream.core.config.configuration import Configuration

T = TypeVar("T")


@dataclass(frozen=True)
class Option(Generic[T]):
    """One setting. ``configuration[option]`` has the type ``T``."""

    key: str
    kind: Kind[T]
    secret: bool = False
    """Its value is never shown."""
    for_slots: bool = False
    """A secret that slot processes need, although user code runs there."""

    @property
    def environment_variable(self) -> str:
        """``heartbeat.interval`` is ``MILLSTREAM_HEARTBEAT_INTERVAL``."""
        return "MILLSTREAM_" + self.key.replace(".", "_").replace("-", "_").upper()


_PORT = Integer(0, 65535, "port")
_COUNT = Integer(1, 1_000_000)
_DURATION = DurationKind()
_OPTIONAL_DURATION: Optional[timedelta] = Optional(DurationKind())
_OPTIONAL_TEXT: Optional[str] = Optional(Text())
_OPTIONAL_PATH: Optional[Path] = Optional(PathKind())
_OPTIONAL_LOCATION: Optional[str] = Optional(LocationKind())
_OPTIONAL_COUNT: Optional[int] = Optional(_COUNT)
_OPTIONAL_SLOTS: Optional[int] = Optional(Integer(1, 1024))
_OPTIONAL_PARALLELISM: Optional[int] = Optional(Integer(1, 32768))

# -- where the JobManager is ------------------------------------------------------------------------------------------
JOBMANAGER_RPC_ADDRESS = Option("jobmanager.rpc.address", _OPTIONAL_TEXT)
JOBMANAGER_RPC_PORT = Option("jobmanager.rpc.port", _PORT)
JOBMANAGER_BIND_HOST = Option("jobmanager.bind-host", Text())

# -- trust ------------------------------------------------------------------------------------------------------------
SECURITY_SECRET = Option("security.secret", _OPTIONAL_TEXT, secret=True)
SECURITY_SECRET_FILE = Option("security.secret-file", PathKind())

# -- JobManager -------------------------------------------------------------------------------------------------------
JOBMANAGER_SCHEDULER = Option("jobmanager.scheduler", Choice(("default", "adaptive")))
FAILOVER_STRATEGY = Option("jobmanager.execution.failover-strategy", Choice(("region", "full")))
ADAPTIVE_STARTING_STABLE = Option("jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout", _DURATION)
ADAPTIVE_RUNNING_STABLE = Option("jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout", _DURATION)
ADAPTIVE_COOLDOWN = Option("jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling", _DURATION)
JOBSTORE_MAX_CAPACITY = Option("jobstore.max-capacity", _COUNT)
SLOT_REQUEST_TIMEOUT = Option("slot.request.timeout", _DURATION)
NUMBER_OF_SLOTS_MAX = Option("slotmanager.number-of-slots.max", _OPTIONAL_COUNT)
BLOB_STORAGE_DIRECTORY = Option("blob.storage.directory", _OPTIONAL_PATH)
HEARTBEAT_INTERVAL = Option("heartbeat.interval", _DURATION)
HEARTBEAT_TIMEOUT = Option("heartbeat.timeout", _DURATION)

# -- several JobManagers ----------------------------------------------------------------------------------------------
HA_TYPE = Option("high-availability.type", Choice(("NONE", "file", "zookeeper")))
HA_STORAGE_DIR = Option("high-availability.storageDir", _OPTIONAL_LOCATION)
HA_CLUSTER_ID = Option("high-availability.cluster-id", Text())
HA_LEASE_TIMEOUT = Option("high-availability.lease-timeout", _DURATION)
HA_RECONCILIATION_TIMEOUT = Option("high-availability.reconciliation-timeout", _DURATION)
HA_ZOOKEEPER_QUORUM = Option("high-availability.zookeeper.quorum", _OPTIONAL_TEXT)
HA_ZOOKEEPER_ROOT = Option("high-availability.zookeeper.path.root", Text())
HA_ZOOKEEPER_SESSION_TIMEOUT = Option("high-availability.zookeeper.client.session-timeout", _DURATION)
HA_ZOOKEEPER_CONNECTION_TIMEOUT = Option("high-availability.zookeeper.client.connection-timeout", _DURATION)

# -- TaskManager ------------------------------------------------------------------------------------------------------
TASKMANAGER_HOST = Option("taskmanager.host", Text())
TASKMANAGER_BIND_HOST = Option("taskmanager.bind-host", Text())
TASKMANAGER_RPC_PORT = Option("taskmanager.rpc.port", _PORT)
TASKMANAGER_DATA_PORT = Option("taskmanager.data.port", _PORT)
TASKMANAGER_NUMBER_OF_TASK_SLOTS = Option("taskmanager.numberOfTaskSlots", _OPTIONAL_SLOTS)
TASKMANAGER_REGISTRATION_TIMEOUT = Option("taskmanager.registration.timeout", _DURATION)
TASK_CANCELLATION_TIMEOUT = Option("task.cancellation.timeout", _DURATION)
TASKMANAGER_SEGMENT_SIZE = Option("taskmanager.memory.segment-size", Size(4096))
TASKMANAGER_NETWORK_MEMORY_SIZE = Option("taskmanager.memory.network.size", Size(2**20))
TASKMANAGER_BUFFERS_PER_CHANNEL = Option("taskmanager.network.memory.buffers-per-channel", Integer(1, 1024))
TASKMANAGER_FLOATING_BUFFERS = Option("taskmanager.network.memory.floating-buffers-per-gate", Integer(0, 65536))
TASKMANAGER_COMPRESSION_CODEC = Option("taskmanager.network.compression.codec", Choice(("none", "lz4", "zstd")))
IO_TMP_DIRS = Option("io.tmp.dirs", _OPTIONAL_PATH)

# -- jobs -------------------------------------------------------------------------------------------------------------
PARALLELISM_DEFAULT = Option("parallelism.default", _OPTIONAL_PARALLELISM)
PIPELINE_NAME = Option("pipeline.name", _OPTIONAL_TEXT)
PIPELINE_MAX_PARALLELISM = Option("pipeline.max-parallelism", Integer(1, 32768))
PIPELINE_AUTO_WATERMARK_INTERVAL = Option("pipeline.auto-watermark-interval", _DURATION)
PIPELINE_GENERIC_TYPES = Option("pipeline.generic-types", Boolean())
PIPELINE_OPERATOR_CHAINING = Option("pipeline.operator-chaining.enabled", Boolean())
PIPELINE_GLOBAL_JOB_PARAMETERS = Option("pipeline.global-job-parameters", TextMap())
EXECUTION_BUFFER_TIMEOUT = Option("execution.buffer-timeout.interval", _DURATION)

# -- checkpoints and restarts -----------------------------------------------------------------------------------------
CHECKPOINTING_DIRECTORY = Option("execution.checkpointing.dir", LocationKind())
CHECKPOINTING_SAVEPOINT_DIRECTORY = Option("execution.checkpointing.savepoint-dir", _OPTIONAL_LOCATION)
CHECKPOINTING_INTERVAL = Option("execution.checkpointing.interval", _OPTIONAL_DURATION)
CHECKPOINTING_MODE = Option("execution.checkpointing.mode", Choice(("EXACTLY_ONCE", "AT_LEAST_ONCE")))
CHECKPOINTING_MIN_PAUSE = Option("execution.checkpointing.min-pause", _DURATION)
CHECKPOINTING_TIMEOUT = Option("execution.checkpointing.timeout", _DURATION)
CHECKPOINTING_TOLERABLE_FAILURES = Option("execution.checkpointing.tolerable-failed-checkpoints", Integer(0, 1_000_000))
CHECKPOINTING_NUM_RETAINED = Option("execution.checkpointing.num-retained", Integer(1, 1000))
CHECKPOINTING_RETENTION = Option(
    "execution.checkpointing.externalized-checkpoint-retention",
    Choice(("NO_EXTERNALIZED_CHECKPOINTS", "DELETE_ON_CANCELLATION", "RETAIN_ON_CANCELLATION")),
)
CHECKPOINTING_MAX_CONCURRENT = Option("execution.checkpointing.max-concurrent-checkpoints", Integer(1, 1000))
CHECKPOINTING_UNALIGNED = Option("execution.checkpointing.unaligned.enabled", Boolean())
CHECKPOINTING_ALIGNED_TIMEOUT = Option("execution.checkpointing.aligned-checkpoint-timeout", _DURATION)
CHECKPOINTING_LOCAL_BACKUP = Option("execution.checkpointing.local-backup.enabled", Boolean())
STATE_RECOVERY_FROM_LOCAL = Option("execution.state-recovery.from-local", Boolean())
STATE_RECOVERY_CLAIM_MODE = Option("execution.state-recovery.claim-mode", Choice(("NO_CLAIM", "CLAIM")))
STATE_BACKEND = Option("state.backend.type", Optional(Choice(("memory", "rocksdb"))))
STATE_ROCKSDB_LOCALDIR = Option("state.backend.rocksdb.localdir", _OPTIONAL_PATH)
STATE_ROCKSDB_FIXED_PER_SLOT = Option("state.backend.rocksdb.memory.fixed-per-slot", Optional(Size(2**16)))
TASKMANAGER_MANAGED_MEMORY_SIZE = Option("taskmanager.memory.managed.size", Size(2**22))
S3_ENDPOINT = Option("s3.endpoint", _OPTIONAL_TEXT)
S3_ACCESS_KEY = Option("s3.access-key", _OPTIONAL_TEXT, secret=True, for_slots=True)
S3_SECRET_KEY = Option("s3.secret-key", _OPTIONAL_TEXT, secret=True, for_slots=True)
STATE_RECOVERY_PATH = Option("execution.state-recovery.path", _OPTIONAL_LOCATION)
STATE_RECOVERY_IGNORE_UNCLAIMED = Option("execution.state-recovery.ignore-unclaimed-state", Boolean())
RESTART_STRATEGY = Option(
    "restart-strategy.type", Optional(Choice(("none", "fixed-delay", "failure-rate", "exponential-delay")))
)
RESTART_FIXED_ATTEMPTS = Option("restart-strategy.fixed-delay.attempts", _COUNT)
RESTART_FIXED_DELAY = Option("restart-strategy.fixed-delay.delay", _DURATION)
RESTART_RATE_FAILURES = Option("restart-strategy.failure-rate.max-failures-per-interval", _COUNT)
RESTART_RATE_INTERVAL = Option("restart-strategy.failure-rate.failure-rate-interval", _DURATION)
RESTART_RATE_DELAY = Option("restart-strategy.failure-rate.delay", _DURATION)
RESTART_EXPONENTIAL_INITIAL = Option("restart-strategy.exponential-delay.initial-backoff", _DURATION)
RESTART_EXPONENTIAL_MAX = Option("restart-strategy.exponential-delay.max-backoff", _DURATION)
RESTART_EXPONENTIAL_RESET = Option("restart-strategy.exponential-delay.reset-backoff-threshold", _DURATION)
RESTART_EXPONENTIAL_ATTEMPTS = Option(
    "restart-strategy.exponential-delay.attempts-before-reset-backoff", Integer(1, 2**31 - 1)
)

# -- SQL --------------------------------------------------------------------------------------------------------------
EXECUTION_RUNTIME_MODE = Option("execution.runtime-mode", Choice(("STREAMING", "BATCH", "AUTOMATIC")))
TABLE_LOCAL_TIME_ZONE = Option("table.local-time-zone", Text())
ZONE_OF_MACHINE: Final = "default"
"""Value of ``TABLE_LOCAL_TIME_ZONE`` that sessions of SQL and tables replace by a zone's name before they submit."""
TABLE_SQL_DIALECT = Option("table.sql-dialect", Choice(("default",)))
TABLE_DML_SYNC = Option("table.dml-sync", Boolean())
TABLE_DYNAMIC_OPTIONS = Option("table.dynamic-table-options.enabled", Boolean())
TABLE_BUILTIN_CATALOG = Option("table.builtin-catalog-name", Text())
TABLE_BUILTIN_DATABASE = Option("table.builtin-database-name", Text())
TABLE_CATALOG_STORE_KIND = Option("table.catalog-store.kind", Choice(("generic_in_memory", "file")))
TABLE_CATALOG_STORE_PATH = Option("table.catalog-store.file.path", _OPTIONAL_PATH)
TABLE_DISPLAY_MAX_COLUMN_WIDTH = Option("table.display.max-column-width", Integer(4, 10_000))
TABLE_STATE_TTL = Option("table.exec.state.ttl", _DURATION)
TABLE_SOURCE_IDLE_TIMEOUT = Option("table.exec.source.idle-timeout", _DURATION)
TABLE_SOURCE_CDC_DUPLICATES = Option("table.exec.source.cdc-events-duplicate", Boolean())
TABLE_DEFAULT_PARALLELISM = Option("table.exec.resource.default-parallelism", Integer(-1, 32768))
TABLE_MINI_BATCH_ENABLED = Option("table.exec.mini-batch.enabled", Boolean())
TABLE_MINI_BATCH_ALLOW_LATENCY = Option("table.exec.mini-batch.allow-latency", _DURATION)
TABLE_MINI_BATCH_SIZE = Option("table.exec.mini-batch.size", Integer(-1))
TABLE_SINK_NOT_NULL = Option("table.exec.sink.not-null-enforcer", Choice(("ERROR", "DROP")))
TABLE_SINK_TYPE_LENGTH = Option("table.exec.sink.type-length-enforcer", Choice(("IGNORE", "TRIM_PAD", "ERROR")))
TABLE_SINK_UPSERT_MATERIALIZE = Option("table.exec.sink.upsert-materialize", Choice(("AUTO", "NONE", "FORCE")))
TABLE_SINK_KEYED_SHUFFLE = Option("table.exec.sink.keyed-shuffle", Choice(("AUTO", "NONE", "FORCE")))
TABLE_ASYNC_SCALAR_CONCURRENT = Option("table.exec.async-scalar.max-concurrent-operations", Integer(1, 100_000))
TABLE_ASYNC_SCALAR_TIMEOUT = Option("table.exec.async-scalar.timeout", _DURATION)
TABLE_ASYNC_SCALAR_RETRY_STRATEGY = Option(
    "table.exec.async-scalar.retry-strategy", Choice(("FIXED_DELAY", "NO_RETRY"))
)
TABLE_ASYNC_SCALAR_RETRY_DELAY = Option("table.exec.async-scalar.retry-delay", _DURATION)
TABLE_ASYNC_SCALAR_MAX_ATTEMPTS = Option("table.exec.async-scalar.max-attempts", Integer(0, 1_000_000))
TABLE_RANK_CACHE_SIZE = Option("table.exec.rank.topn-cache-size", Integer(1))
TABLE_AGG_PHASE_STRATEGY = Option("table.optimizer.agg-phase-strategy", Choice(("AUTO", "ONE_PHASE", "TWO_PHASE")))
TABLE_DISTINCT_SPLIT = Option("table.optimizer.distinct-agg.split.enabled", Boolean())
TABLE_DISTINCT_SPLIT_BUCKETS = Option("table.optimizer.distinct-agg.split.bucket-num", Integer(1, 65536))
TABLE_JOIN_REORDER = Option("table.optimizer.join-reorder-enabled", Boolean())
TABLE_REUSE_SOURCE = Option("table.optimizer.reuse-source-enabled", Boolean())
TABLE_REUSE_SUB_PLAN = Option("table.optimizer.reuse-sub-plan-enabled", Boolean())
TABLE_NON_DETERMINISTIC_UPDATE = Option(
    "table.optimizer.non-deterministic-update.strategy", Choice(("IGNORE", "TRY_RESOLVE"))
)
SQL_CLIENT_RESULT_MODE = Option("sql-client.execution.result-mode", Choice(("TABLE", "CHANGELOG", "TABLEAU")))
SQL_CLIENT_MAX_ROWS = Option("sql-client.execution.max-table-result.rows", Integer(1, 100_000_000))
SQL_CLIENT_PRINT_TIME = Option("sql-client.display.print-time-cost", Boolean())

# -- metrics ----------------------------------------------------------------------------------------------------------
METRICS_BIND_HOST = Option("metrics.bind-host", Text())
METRICS_JOBMANAGER_PORT = Option("metrics.jobmanager.port", Integer(-1, 65535, "port"))
METRICS_TASKMANAGER_PORT = Option("metrics.taskmanager.port", Integer(-1, 65535, "port"))

# -- client -----------------------------------------------------------------------------------------------------------
CLIENT_TIMEOUT = Option("client.timeout", _DURATION)
CLUSTER_DIRECTORY = Option("cluster.directory", PathKind())

OPTIONS: Final[dict[str, Option[object]]] = {
    option.key: option for option in list(vars().values()) if isinstance(option, Option)
}
"""All of the above by key."""


def jobmanager_address(configuration: Configuration) -> str:
    """``host:port`` where clients and TaskManagers find the JobManager; this machine unless a setting says else."""
    host = configuration[JOBMANAGER_RPC_ADDRESS] or "127.0.0.1"
    return f"{host}:{configuration[JOBMANAGER_RPC_PORT]}"


def number_of_task_slots(configuration: Configuration) -> int:
    """Slots of one TaskManager: the setting, or the cores this process may use."""
    return configuration[TASKMANAGER_NUMBER_OF_TASK_SLOTS] or len(os.sched_getaffinity(0))


def temporary_directory(configuration: Configuration) -> Path:
    """Where short-lived files go: the setting, or the system's directory for them."""
    import tempfile

    return configuration[IO_TMP_DIRS] or Path(tempfile.gettempdir())
