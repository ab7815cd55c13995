"""``'connector' = 'nexmark'``: the events of the Nexmark benchmark, with the options of nexmark-flink."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pyarrow as pa

from millstream.connectors.nexmark.model import BASE_TIME_MS, EVENT_SCHEMA, EventKind, NexmarkModel
from millstream.connectors.nexmark.source import NexmarkSource
from millstream.core.config.values import Boolean, Integer, Size
from millstream.core.errors import ConfigError
from millstream.core.table.arrow_types import logical_type
from millstream.core.table.connectors import (
    Filter,
    Pushdown,
    TableConnector,
    TableDescription,
    TableSource,
    projected_schema,
)
from millstream.core.table.table_options import TableOption, TableOptions

_LARGE: Final = 2**62
_SMALL: Final = 2**20


class Instant:
    """A time in UTC, as milliseconds since 1970."""

    name = "timestamp"

    def parse(self, raw: object) -> int:
        try:
            value = datetime.fromisoformat(str(raw))
        except ValueError:
            raise ValueError('expected a time such as "2024-01-01 00:00:00"') from None
        return round((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)

    def text(self, value: int) -> str:
        return datetime.fromtimestamp(value / 1000, UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")

    def flat(self, value: int) -> str:
        return self.text(value)


class NexmarkConnector(TableConnector):
    """The columns may be any of ``event_type``, ``person``, ``auction``, ``bid``, and each row type any of their
    fields. A filter on ``event_type`` makes no other events, and leaves that no query reads are not made."""

    identifier = "nexmark"
    optional_options = {
        "events.num": TableOption("How many events; 0 for no end.", Integer(0, _LARGE), 0),
        "first-event.rate": TableOption("Events per second of event time.", Integer(1), 10_000),
        "next-event.rate": TableOption("The same: a rate that changes is not supported.", Integer(1)),
        "rate.limited": TableOption("Emit at that rate in real time too.", Boolean(), False),
        "max-emit-speed": TableOption("The opposite of rate.limited.", Boolean(), True),
        "person.proportion": TableOption("People a round of events.", Integer(1, _SMALL), 1),
        "auction.proportion": TableOption("Auctions a round of events.", Integer(1, _SMALL), 3),
        "bid.proportion": TableOption("Bids a round of events.", Integer(0, _SMALL), 46),
        "person.avg-size": TableOption("Average size of a person.", Size(), 200),
        "auction.avg-size": TableOption("Average size of an auction.", Size(), 500),
        "bid.avg-size": TableOption("Average size of a bid.", Size(), 100),
        "bid.hot-ratio.auctions": TableOption("One bid in so many is not for a hot auction.", Integer(1, _SMALL), 2),
        "bid.hot-ratio.bidders": TableOption("One bid in so many is not by a hot bidder.", Integer(1, _SMALL), 4),
        "auction.hot-ratio.sellers": TableOption(
            "One auction in so many is not by a hot seller.", Integer(1, _SMALL), 4
        ),
        "seed": TableOption("Other seeds, other events.", Integer(-(2**63), 2**63 - 1), 0),
        "base-time": TableOption("Event time of the first event, UTC.", Instant(), BASE_TIME_MS),
        "scan.parallelism": TableOption("Parallelism of the source.", Integer(1)),
    }

    def open_source(self, description: TableDescription, options: TableOptions, pushdown: Pushdown) -> TableSource:
        _check_columns(description)
        schema = projected_schema(description.schema, pushdown.projection, description.place)
        accepted = tuple(condition for condition in pushdown.filters if _kinds_of(condition) is not None)
        kinds = frozenset(EventKind)
        for condition in accepted:
            kinds &= _kinds_of(condition) or frozenset()
        model = _model(options)
        limited = options.get("rate.limited") or not options.get("max-emit-speed")
        source = NexmarkSource(
            model,
            schema,
            options.get("events.num") or None,
            model.events_per_second if limited else None,
            kinds if accepted else None,
        )
        return TableSource(
            source,
            schema,
            bounded=source.events is not None,
            accepted_filters=accepted,
            parallelism=options.get("scan.parallelism"),
        )


def _model(options: TableOptions) -> NexmarkModel:
    rate = options.get("first-event.rate")
    if options.is_set("next-event.rate"):
        rate = rate if options.is_set("first-event.rate") else options.get("next-event.rate")
        if options.get("next-event.rate") != rate:
            raise options.refuse("next-event.rate", f"it must equal 'first-event.rate', {rate}.")
    return NexmarkModel(
        seed=options.get("seed"),
        base_time_ms=options.get("base-time"),
        events_per_second=rate,
        person_proportion=options.get("person.proportion"),
        auction_proportion=options.get("auction.proportion"),
        bid_proportion=options.get("bid.proportion"),
        hot_auctions=options.get("bid.hot-ratio.auctions"),
        hot_bidders=options.get("bid.hot-ratio.bidders"),
        hot_sellers=options.get("auction.hot-ratio.sellers"),
        person_bytes=options.get("person.avg-size"),
        auction_bytes=options.get("auction.avg-size"),
        bid_bytes=options.get("bid.avg-size"),
    )


def _check_columns(description: TableDescription) -> None:
    for column in description.schema:
        known = EVENT_SCHEMA.field(column.name).type if column.name in EVENT_SCHEMA.names else None
        if known is None:
            raise ConfigError(
                f"{description.place}: events have no column {column.name!r}, only {', '.join(EVENT_SCHEMA.names)}."
            )
        fields = list(column.type) if pa.types.is_struct(column.type) and pa.types.is_struct(known) else []
        for field in fields:
            index = known.get_field_index(field.name)
            if index < 0:
                names = ", ".join(child.name for child in known)
                raise ConfigError(f"{description.place}: {column.name} has no field {field.name!r}, only {names}.")
            _check_type(description, f"{column.name}.{field.name}", field.type, known.field(index).type)
        if not fields:
            _check_type(description, column.name, column.type, known)


def _check_type(description: TableDescription, path: str, declared: pa.DataType, known: pa.DataType) -> None:
    if declared != known:
        raise ConfigError(
            f"{description.place}: column {path!r} is declared as {logical_type(declared)}, "
            f"but it is {logical_type(known)}."
        )


def _kinds_of(condition: Filter) -> frozenset[EventKind] | None:
    """The kinds of event that pass; None for a condition on anything else."""
    if condition.column != "event_type":
        return None
    literal = condition.literal
    match condition.op:
        case "=" if isinstance(literal, int):
            return frozenset(kind for kind in EventKind if kind == literal)
        case "<>" if isinstance(literal, int):
            return frozenset(kind for kind in EventKind if kind != literal)
        case "IN" if isinstance(literal, tuple) and all(isinstance(value, int) for value in literal):
            return frozenset(kind for kind in EventKind if kind in literal)
        case _:
            return None
