"""The statements of a script, as data.

Every statement knows where it begins and its own text. Queries and expressions are sqlglot nodes (what they look like:
the docstring of the package) beside the text they were read from, which catalogs store.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from sqlglot import exp

from millstream.core.table.logical_types import LogicalType
from millstream.sql.parser.errors import Position

ObjectPath = tuple[str, ...]
"""``(name,)``, ``(database, name)`` or ``(catalog, database, name)``."""


class ObjectKind(enum.Enum):
    """What a statement creates, alters, drops or shows."""

    TABLE = "TABLE"
    VIEW = "VIEW"
    FUNCTION = "FUNCTION"
    DATABASE = "DATABASE"
    CATALOG = "CATALOG"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """Base of all statements."""

    position: Position
    text: str
    """The statement without the semicolon."""
    source: str = field(repr=False, compare=False)
    """The whole script, which positions of nodes count in."""


@dataclass(frozen=True, kw_only=True)
class Query(Statement):
    """``SELECT``, ``VALUES``, ``WITH``, ``TABLE t``."""

    ast: exp.Expr


@dataclass(frozen=True, kw_only=True)
class Insert(Statement):
    """``INSERT INTO | OVERWRITE path [PARTITION (k = v)] [(columns)] query``."""

    path: ObjectPath
    columns: tuple[str, ...] = ()
    """Empty: all, in order."""
    overwrite: bool = False
    partition: tuple[tuple[str, exp.Expr], ...] = ()
    """Columns of a static partition with their literals."""
    hints: tuple[exp.Hint, ...] = ()
    query: exp.Expr


@dataclass(frozen=True, kw_only=True)
class StatementSet(Statement):
    """Inserts that run as one job."""

    inserts: tuple[Insert, ...]


@dataclass(frozen=True, kw_only=True)
class BeginStatementSet(Statement):
    """``BEGIN STATEMENT SET`` whose inserts are not in the same text: an interactive session collects them."""


@dataclass(frozen=True, kw_only=True)
class EndStatementSet(Statement):
    """``END``."""


@dataclass(frozen=True)
class PhysicalColumn:
    """``name type [COMMENT '...']``; NOT NULL is part of the type."""

    name: str
    type: LogicalType
    comment: str = ""


@dataclass(frozen=True)
class ComputedColumn:
    """``name AS expression``."""

    name: str
    expression: exp.Expr
    text: str
    """The expression as written."""
    comment: str = ""


@dataclass(frozen=True)
class MetadataColumn:
    """``name type METADATA [FROM 'key'] [VIRTUAL]``."""

    name: str
    type: LogicalType
    key: str = ""
    """Of the connector; empty: the name."""
    virtual: bool = False
    comment: str = ""


ColumnDefinition = PhysicalColumn | ComputedColumn | MetadataColumn


@dataclass(frozen=True)
class Watermark:
    """``WATERMARK FOR column AS expression``."""

    column: str
    expression: exp.Expr
    text: str


@dataclass(frozen=True)
class Distribution:
    """``DISTRIBUTED BY [HASH|RANGE] (columns) INTO n BUCKETS``; kind and columns may be empty, ``buckets`` 0."""

    kind: str = ""
    columns: tuple[str, ...] = ()
    buckets: int = 0


@dataclass(frozen=True)
class LikeClause:
    """``LIKE path (INCLUDING ALL EXCLUDING OPTIONS ...)``."""

    path: ObjectPath
    rules: tuple[tuple[str, str], ...] = ()
    """``(INCLUDING | EXCLUDING | OVERWRITING, ALL | CONSTRAINTS | ... )``."""


@dataclass(frozen=True, kw_only=True)
class CreateTable(Statement):
    path: ObjectPath
    columns: tuple[ColumnDefinition, ...] = ()
    watermark: Watermark | None = None
    primary_key: tuple[str, ...] = ()
    partition_keys: tuple[str, ...] = ()
    distribution: Distribution | None = None
    options: tuple[tuple[str, str], ...] = ()
    comment: str = ""
    like: LikeClause | None = None
    as_query: exp.Expr | None = None
    query_text: str = ""
    """Of ``as_query``."""
    column_names: tuple[str, ...] = ()
    """Names without types before AS: the columns of the query in this order."""
    temporary: bool = False
    if_not_exists: bool = False
    or_replace: bool = False


@dataclass(frozen=True, kw_only=True)
class CreateView(Statement):
    path: ObjectPath
    columns: tuple[str, ...] = ()
    comment: str = ""
    query: exp.Expr
    query_text: str
    temporary: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, kw_only=True)
class CreateFunction(Statement):
    """``CREATE [TEMPORARY [SYSTEM]] FUNCTION f AS 'module.attribute' LANGUAGE PYTHON``."""

    path: ObjectPath
    target: str
    temporary: bool = False
    system: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, kw_only=True)
class CreateCatalog(Statement):
    name: str
    options: tuple[tuple[str, str], ...] = ()
    comment: str = ""
    if_not_exists: bool = False


@dataclass(frozen=True, kw_only=True)
class CreateDatabase(Statement):
    path: ObjectPath
    options: tuple[tuple[str, str], ...] = ()
    comment: str = ""
    if_not_exists: bool = False


@dataclass(frozen=True, kw_only=True)
class Drop(Statement):
    kind: ObjectKind
    path: ObjectPath
    if_exists: bool = False
    temporary: bool = False
    system: bool = False
    cascade: bool = False
    """Of a database: drop its tables too."""


@dataclass(frozen=True)
class ColumnChange:
    """A column to add or modify, and where it goes: ``first``, ``after`` a column, or (neither) where it is."""

    column: ColumnDefinition
    first: bool = False
    after: str = ""


@dataclass(frozen=True)
class RenameTo:
    path: ObjectPath


@dataclass(frozen=True)
class RenameColumn:
    old: str
    new: str


@dataclass(frozen=True)
class AddColumns:
    changes: tuple[ColumnChange, ...] = ()
    watermark: Watermark | None = None
    primary_key: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModifyColumns:
    changes: tuple[ColumnChange, ...] = ()
    watermark: Watermark | None = None
    primary_key: tuple[str, ...] = ()


@dataclass(frozen=True)
class DropColumns:
    columns: tuple[str, ...]


@dataclass(frozen=True)
class DropWatermark:
    pass


@dataclass(frozen=True)
class DropPrimaryKey:
    pass


@dataclass(frozen=True)
class SetOptions:
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ResetOptions:
    keys: tuple[str, ...]


@dataclass(frozen=True)
class SetComment:
    comment: str


@dataclass(frozen=True)
class SetQuery:
    """``ALTER VIEW v AS query``."""

    query: exp.Expr
    text: str


@dataclass(frozen=True)
class SetFunction:
    """``ALTER FUNCTION f AS 'module.attribute'``."""

    target: str


AlterAction = (
    RenameTo | RenameColumn | AddColumns | ModifyColumns | DropColumns | DropWatermark | DropPrimaryKey | SetOptions
    | ResetOptions | SetComment | SetQuery | SetFunction
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Alter(Statement):
    kind: ObjectKind
    path: ObjectPath
    action: AlterAction
    if_exists: bool = False
    temporary: bool = False


@dataclass(frozen=True, kw_only=True)
class Use(Statement):
    """``USE CATALOG c``, ``USE [catalog.]database``."""

    kind: ObjectKind
    path: ObjectPath


class Shown(enum.Enum):
    """What SHOW lists."""

    CATALOGS = "CATALOGS"
    DATABASES = "DATABASES"
    TABLES = "TABLES"
    VIEWS = "VIEWS"
    COLUMNS = "COLUMNS"
    FUNCTIONS = "FUNCTIONS"
    USER_FUNCTIONS = "USER FUNCTIONS"
    PARTITIONS = "PARTITIONS"
    JOBS = "JOBS"
    CURRENT_CATALOG = "CURRENT CATALOG"
    CURRENT_DATABASE = "CURRENT DATABASE"
    CREATE_TABLE = "CREATE TABLE"
    CREATE_VIEW = "CREATE VIEW"
    CREATE_CATALOG = "CREATE CATALOG"


@dataclass(frozen=True, kw_only=True)
class Show(Statement):
    """``SHOW what [FROM path] [[NOT] LIKE | ILIKE 'pattern']``."""

    what: Shown
    path: ObjectPath = ()
    pattern: str = ""
    ignore_case: bool = False
    negated: bool = False


@dataclass(frozen=True, kw_only=True)
class Describe(Statement):
    kind: ObjectKind
    path: ObjectPath
    extended: bool = False


class ExplainDetail(enum.Enum):
    """What EXPLAIN adds to the plans."""

    CHANGELOG_MODE = "CHANGELOG_MODE"
    ESTIMATED_COST = "ESTIMATED_COST"
    JSON_EXECUTION_PLAN = "JSON_EXECUTION_PLAN"
    PLAN_ADVICE = "PLAN_ADVICE"
    STATE_RECOVERY = "STATE_RECOVERY"


@dataclass(frozen=True, kw_only=True)
class Explain(Statement):
    details: tuple[ExplainDetail, ...] = ()
    statement: Query | Insert | StatementSet


@dataclass(frozen=True, kw_only=True)
class Set(Statement):
    """``SET 'key' = 'value'``; ``SET`` alone lists what is set (``key`` empty)."""

    key: str = ""
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class Reset(Statement):
    """``RESET 'key'``; without a key everything."""

    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Truncate(Statement):
    path: ObjectPath


@dataclass(frozen=True, kw_only=True)
class StopJob(Statement):
    """``STOP JOB 'id' [WITH SAVEPOINT] [WITH DRAIN]``."""

    job_id: str
    with_savepoint: bool = False
    with_drain: bool = False
