"""Helpers at work: one object for each connection that carries one, fed by the engine."""

from __future__ import annotations

from ipaddress import IPv4Interface, ip_address
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from conntap.helpers.base import ORIGINAL, Address, Drop, Expect, Expectation, Helper, Nat, Packet, Refused, Tuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from conntap import _core

__all__ = ["HelperHost"]

TupleParts: TypeAlias = tuple[bytes, bytes, int, int, int]
State: TypeAlias = Literal["new", "established", "related"]


def to_tuple(parts: TupleParts) -> Tuple:
    """Make what helpers read of what the core knows."""
    src, dst, l4proto, sport, dport = parts
    return Tuple(ip_address(src), ip_address(dst), l4proto, sport, dport)


def to_parts(flow: Tuple) -> TupleParts:
    """Make what the core reads."""
    return (flow.src.packed, flow.dst.packed, flow.l4proto, flow.sport, flow.dport)


def mask_of(wanted: Expect) -> bytes:
    """Which bits of the source count."""
    width = len(wanted.dst.packed)
    if wanted.src is None:
        return bytes(width)
    prefix = width * 8 if wanted.src_prefix is None else wanted.src_prefix
    return (((1 << prefix) - 1) << (width * 8 - prefix)).to_bytes(width, "big")


class EngineExpectation:
    """An expectation of the engine's table."""

    __slots__ = ("_engine", "_handle", "mine", "wanted")

    def __init__(self, engine: _core.Engine, handle: _core.ExpectationHandle) -> None:
        self._engine = engine
        self._handle = handle
        self.mine = handle.mine
        self.wanted = _wanted(handle)

    @property
    def same_helper(self) -> bool:
        """Was it made by a connection with this helper, of this transport and family?"""
        return self._handle.same_helper

    def remove(self) -> None:
        """Take it out of the table."""
        self._engine.remove_expectation(self._handle)

    def refresh(self, seconds: int, *, activate: bool = False) -> None:
        """Let it live so long from now on."""
        self._engine.refresh_expectation(self._handle, seconds, activate)


def _wanted(handle: _core.ExpectationHandle) -> Expect:
    """What was asked for, read back from the table."""
    flow = to_tuple(handle.tuple)
    ones = int.from_bytes(handle.src_mask, "big").bit_count()
    saved = handle.saved
    nat = None
    if saved is not None:
        address, port = saved
        nat = Nat(ORIGINAL, port, None if address is None else ip_address(address))
    return Expect(
        dst=flow.dst,
        dport=flow.dport,
        l4proto=flow.l4proto,
        src=flow.src if ones else None,
        src_prefix=ones if 0 < ones < len(handle.src_mask) * 8 else None,
        sport=flow.sport if handle.sport_mask else None,
        expect_class=handle.expect_class,
        permanent=bool(handle.flags & 1),
        inactive=bool(handle.flags & 2),
        nat=nat,
    )


class EnginePacket:
    """A packet of the engine that waits for its helper: `conntap.helpers.base.Packet`."""

    __slots__ = (
        "_engine", "direction", "expected", "l4proto", "local_network", "natted", "original", "payload", "reply", "seq",
        "state",
    )  # fmt: skip

    def __init__(self, engine: _core.Engine, call: _core.HelperCall, local_network: IPv4Interface | None) -> None:
        self._engine = engine
        self.payload = call.payload
        self.direction = call.direction
        self.state: State = cast("State", call.state.lower())
        self.seq = call.seq
        self.l4proto = call.l4proto
        self.original = to_tuple(call.original)
        self.reply = to_tuple(call.reply)
        self.natted = call.natted
        self.expected = call.expected
        self.local_network = local_network

    @property
    def tuple(self) -> Tuple:
        """The connection's tuple of this packet's direction."""
        return self.original if self.direction == ORIGINAL else self.reply

    @property
    def inverse(self) -> Tuple:
        """The connection's tuple of the other direction."""
        return self.reply if self.direction == ORIGINAL else self.original

    def expect(self, wanted: Expect) -> Expectation:
        """Enter an expectation."""
        src: Address = wanted.src if wanted.src is not None else type(wanted.dst)(0)
        nat = wanted.nat
        handle, refused = self._engine.expect(
            to_parts(Tuple(src, wanted.dst, wanted.l4proto, wanted.sport or 0, wanted.dport)),
            src_mask=mask_of(wanted),
            sport_mask=0 if wanted.sport is None else 0xFFFF,
            expect_class=wanted.expect_class,
            permanent=wanted.permanent,
            inactive=wanted.inactive,
            timeout=wanted.timeout,
            helper=wanted.helper,
            nat=nat and (nat.direction, nat.saved_port, nat.saved_addr and nat.saved_addr.packed, nat.function),
            removes_inverse=wanted.removes_inverse,
            any_master=wanted.any_master,
        )
        if handle is None:
            raise Refused(cast("Literal['busy', 'already', 'full']", refused))
        return EngineExpectation(self._engine, handle)

    def expectations(self) -> list[Expectation]:
        """Those of this connection, newest first."""
        return [EngineExpectation(self._engine, handle) for handle in self._engine.own_expectations()]

    def find(self, wanted: Tuple) -> Expectation | None:
        """The expectation that this tuple would match."""
        handle = self._engine.find_expectation(to_parts(wanted))
        return None if handle is None else EngineExpectation(self._engine, handle)

    def refresh(self, seconds: int) -> None:
        """Let the connection live so long from now on."""
        self._engine.refresh_call(seconds)

    def mangle(self, start: int, length: int, replacement: bytes, *, adjust: bool = True) -> None:
        """Replace bytes of the payload."""
        if not self._engine.mangle(start, length, replacement, adjust):
            raise Drop("the packet would become too long")
        self.payload = self.payload[:start] + replacement + self.payload[start + length :]

    def adjust_sequence(self, difference: int) -> None:
        """Shift this direction's later sequence numbers."""
        self._engine.adjust_sequence(difference)

    def leaves_alike(self, address: Address) -> bool:
        """False: the engine knows no routes."""
        return False

    def set_dport(self, port: int) -> None:
        """Change the destination port in the UDP header."""
        self._engine.set_dport(port)

    def map_gre(self, original: Tuple, reply: Tuple) -> bool:
        """Let GRE packets find the sender's key."""
        return self._engine.map_gre(to_parts(original), to_parts(reply))

    def unmap_gre(self) -> None:
        """Forget what `map_gre` said."""
        self._engine.unmap_gre()

    def kill(self, flow: Tuple) -> bool:
        """End the connection with this original tuple."""
        return self._engine.kill(to_parts(flow))


#: So many helpers are kept before it is looked whose connections have ended.
FEW_INSTANCES: Final = 1000


class HelperHost:
    """Makes a helper for each connection that carries one, and asks it.

    Attributes:
        drops: why the last packet was dropped, "" if it was not.
        numbers: the engine's number of each helper, by name.
    """

    __slots__ = ("_classes", "_engine", "_instances", "_local_networks", "_most", "_rules", "drops", "numbers")

    def __init__(
        self,
        engine: _core.Engine,
        helpers: Mapping[str, type[Helper]],
        options: Mapping[str, Mapping[str, int]],
        local_networks: Iterable[IPv4Interface] = (),
        rules: Callable[[_core.Engine, _core.HelperCall], bool] | None = None,
    ) -> None:
        self._rules = rules
        if rules is not None:
            engine.ask_rules()
        self._engine = engine
        self._instances: dict[int, Helper] = {}
        self._most = FEW_INSTANCES
        self._classes: dict[int, tuple[type[Helper], Mapping[str, int]]] = {}
        self._local_networks = list(local_networks)
        self.drops = ""
        self.numbers: dict[str, int] = {}
        for name, helper in helpers.items():
            chosen = {**helper.parameters, **options.get(name, {})}
            policies = [(policy.max_expected, policy.timeout) for policy in helper.policies_for(chosen)]
            self.numbers[name] = number = engine.add_helper(name, policies)
            self._classes[number] = (helper, chosen)

    def ask(self) -> bool:
        """Let the helper read the packet that waits; False: it drops it."""
        call = self._engine.call()
        if call is None:
            return True
        if call.stage == "rules":
            return self._rules is None or self._rules(self._engine, call)
        packet: Packet = EnginePacket(self._engine, call, self._local_network(call))
        instance = self._instances.get(call.flow)
        if instance is None:
            if len(self._instances) >= self._most:
                self._forget_ended()
            helper, options = self._classes[call.helper or 0]
            instance = self._instances[call.flow] = helper(options)
        try:
            instance.packet(packet)
        except Drop as drop:
            self.drops = str(drop)
            return False
        self.drops = ""
        return True

    def _forget_ended(self) -> None:
        """Let go of the helpers of connections that are no more."""
        alive = set(self._engine.helped_flows())
        self._instances = {flow: helper for flow, helper in self._instances.items() if flow in alive}
        self._most = 2 * len(self._instances) + FEW_INSTANCES

    def _local_network(self, call: _core.HelperCall) -> IPv4Interface | None:
        """The network whose broadcast address one of our own addresses sent this to."""
        src, dst = ip_address(call.original[0]), ip_address(call.original[1])
        fits = (net for net in self._local_networks if net.ip == src and net.network.broadcast_address == dst)
        return next(fits, None)
