"""The network between simulated machines: delays, partitions, lost connections.

Whatever travels is a callback that runs where it arrives. What meets a partition waits at its edge, as TCP repeats it,
and arrives when the partition heals, unless the connection was given up before. Within a machine there is no network.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.sim.loop import SimLoop, SimProcess

if TYPE_CHECKING:
    from tests.sim.rpc import SimServer
    from tests.sim.sockets import SimListener

Pair = tuple[str, str]
Action = Callable[[], object]
CallObserver = Callable[[SimProcess, str, list[bytes]], None]


@dataclass(eq=False)
class _Message:
    """``process`` runs ``deliver``, or the machine does while no process is meant; ``lost`` is for ``source``."""

    pair: Pair
    source: SimProcess
    process: SimProcess | None
    deliver: Action
    lost: Action


@dataclass
class SimNet:
    """``latency_s``: one way. ``hiccups``: the share of messages that take up to half a second more."""

    loop: SimLoop
    random: random.Random
    latency_s: float = 0.001
    hiccups: float = 0.0
    servers: dict[str, SimServer] = field(default_factory=dict)
    listeners: dict[tuple[str, int], SimListener] = field(default_factory=dict)
    dark: set[str] = field(default_factory=set)
    """Machines without power."""
    on_call: CallObserver = lambda process, method, chunks: None
    resets: dict[Pair, list[Action]] = field(default_factory=dict)
    """What breaks with the connections between two machines."""
    _blocked: set[Pair] = field(default_factory=set)
    _moving: dict[_Message, None] = field(default_factory=dict)
    _held: list[_Message] = field(default_factory=list)
    _port: int = 40_000

    def free_port(self) -> int:
        self._port += 1
        return self._port

    def of_machine(self, address: str) -> SimProcess:
        """The kernel of a machine, which answers for processes that are not there."""
        return SimProcess("kernel", address.rpartition(":")[0], self.loop)

    # -- traffic -----------------------------------------------------------------------------------------------------

    def send(self, source: SimProcess, target: SimProcess | str, deliver: Action, lost: Action) -> None:
        """``target``: a process, or a machine if the kernel there takes it."""
        process, machine = (target, target.machine) if isinstance(target, SimProcess) else (None, target)
        if source.machine in self.dark:
            return
        message = _Message(pair_of(source.machine, machine), source, process, deliver, lost)
        self._moving[message] = None
        self.loop.call_later(self.delay_s(message.pair), self._arrive, message, context=self.loop.world.context)

    def delay_s(self, pair: Pair) -> float:
        draw = self.random.random()
        if pair[0] == pair[1]:
            return 0.00005 * (1 + draw)
        delay_s = self.latency_s * (0.5 + draw)
        return delay_s + (0.5 * self.random.random() if self.hiccups and draw < self.hiccups else 0.0)

    def is_open(self, pair: Pair) -> bool:
        return pair not in self._blocked

    def _arrive(self, message: _Message) -> None:
        if message not in self._moving:
            return
        if message.pair in self._blocked:
            del self._moving[message]
            self._held.append(message)
            return
        del self._moving[message]
        if message.process is None:
            if not self.dark.intersection(message.pair):
                message.deliver()
        elif message.process.machine not in self.dark:
            message.process.soon(message.deliver)

    # -- faults ------------------------------------------------------------------------------------------------------

    def block(self, one: str, other: str) -> None:
        self._blocked.add(pair_of(one, other))

    def heal(self, one: str, other: str) -> None:
        pair = pair_of(one, other)
        self._blocked.discard(pair)
        held, self._held = self._held, []
        for message in held:
            if message.pair == pair:
                self._moving[message] = None
                self.loop.call_later(self.delay_s(pair), self._arrive, message, context=self.loop.world.context)
            else:
                self._held.append(message)

    def reset(self, one: str, other: str) -> None:
        """Every connection between two machines breaks; both ends notice."""
        pair = pair_of(one, other)
        for message in [m for m in [*self._moving, *self._held] if m.pair == pair]:
            self._moving.pop(message, None)
            if message in self._held:
                self._held.remove(message)
            message.source.soon(message.lost)
        for action in self.resets.pop(pair, []):
            action()

    def on_reset(self, pair: Pair, action: Action) -> None:
        self.resets.setdefault(pair, []).append(action)


def pair_of(one: str, other: str) -> Pair:
    """Links have no direction."""
    return (one, other) if one < other else (other, one)


def nothing(*_: Any) -> None:
    """For whoever is not interested."""
