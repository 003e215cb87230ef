"""`Conntrack`: the handle through which a program reads and changes a network namespace's connection tracking.

Tables are read and events received in the Rust core; this file says what to ask for. One handle may be used
from several threads; requests take turns, every table walk and event stream has a socket of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conntap import _core
from conntap.errors import ClosedError, NotFoundError, UsageError
from conntap.filter import as_filter
from conntap.netns import NetNs, path_of
from conntap.streams import Events, Expectations, Flows

if TYPE_CHECKING:
    from types import TracebackType

    from conntap.filter import Filter

__all__ = ["Conntrack", "open_conntrack"]

FAMILIES = {None: 0, "ipv4": 2, "ipv6": 10}
#: Multicast group of UPDATE events of flows (NFNLGRP_CONNTRACK_UPDATE).
GROUP_UPDATE = 2
#: Receive buffer to ask for. Only used while events wait; the kernel caps it where it may not be forced.
BUFFER_BYTES = 128 << 20


def open_conntrack(netns: NetNs = None) -> Conntrack:
    """Open the connection tracking of a network namespace.

    Args:
        netns: a name below /run/netns, a path, or a pid; None for this process's own.

    Raises:
        NotFoundError: no such namespace.
        UnsupportedError: the kernel has no netfilter netlink socket.
    """
    return Conntrack(netns)


class Conntrack:
    """Connection tracking of one network namespace.

    Every reading and changing call needs CAP_NET_ADMIN in the user namespace that owns the network namespace,
    and raises `PrivilegeError` without.
    """

    __slots__ = ("_netns", "_requests")

    def __init__(self, netns: NetNs = None) -> None:
        self._netns = path_of(netns)
        self._requests: _core.Requests | None = _core.Requests(self._netns)

    def __enter__(self) -> Conntrack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the request socket. Streams that are open go on until they are closed themselves."""
        self._requests = None

    @property
    def requests(self) -> _core.Requests:
        """The request socket (`conntap._core.Requests`), for what this class does not offer.

        Raises:
            ClosedError: after `close()`.
        """
        if self._requests is None:
            raise ClosedError("this Conntrack is closed", hint="open a new one: conntap.open()")
        return self._requests

    # -- reading ---------------------------------------------------------------------------------------------

    def flows(self, where: str | Filter = "", *, family: str | None = None, zero: bool = False) -> Flows:
        """Read the flow table.

        Args:
            where: filter text or compiled filter; empty for all. What the kernel can filter it does.
            family: "ipv4" or "ipv6"; None for both.
            zero: set the counters of every entry read to zero, atomically with the reading. Only for the whole
                table: the kernel's part of a filter lets more entries through than it wants.

        Returns:
            An iterable of `Flow`; also `.batches()`, `.arrow()` and the Arrow stream protocol. Each iteration
            reads the table anew. The kernel walks its table without stopping the traffic: entries that come
            or go meanwhile may or may not be among the rows.

        Raises:
            FilterError: *where* does not parse.
            UsageError: *where* asks for event kinds, which a table has not; or *zero* with a filter.
        """
        compiled = as_filter(where)
        if compiled is not None and compiled.uses_event_kinds:
            raise UsageError("a table has no events: 'new', 'update' and 'destroy' select nothing here")
        if family not in FAMILIES:
            raise UsageError(f"unknown family '{family}': ipv4 or ipv6")
        if zero and compiled is not None:
            raise UsageError("zeroing is for the whole table: a filter would have entries zeroed that it does not show")
        table = "flows-zero" if zero else "flows"
        return Flows(lambda: self.requests.dump(table, compiled, family=FAMILIES[family]))

    def expectations(self, where: str | Filter = "") -> Expectations:
        """Read the expectation table; arguments and errors as for `flows`."""
        compiled = as_filter(where)
        if compiled is not None and compiled.uses_event_kinds:
            raise UsageError("a table has no events: 'new', 'update' and 'destroy' select nothing here")
        return Expectations(lambda: self.requests.dump("expectations", compiled))

    def events(
        self,
        where: str | Filter = "",
        *,
        expectations: bool = True,
        updates: bool = True,
        reliable: bool = False,
        buffer_bytes: int = BUFFER_BYTES,
        kernel_filter: bool = True,
        gather_ms: int = 0,
    ) -> Events:
        """Subscribe to events; the subscription exists when this returns.

        Args:
            where: filter text or compiled filter; empty for all. What fits a socket filter the kernel refuses
                before it costs anything.
            expectations: also events of expectations, where *where* allows them.
            updates: also UPDATE events of flows, where *where* allows them.
            reliable: let the kernel deliver again what did not fit (NETLINK_BROADCAST_ERROR). DESTROY events are
                then never lost while the reader lives, but a reader that stands still can fill the table and
                stop new connections. NEW and UPDATE are merged into the flow's next event instead.
            buffer_bytes: receive buffer to ask for, in the kernel's own accounting (about 1.3 kB an event).
            kernel_filter: False to run the whole filter here.
            gather_ms: how long events may gather while they come fast; 0 for a millisecond. More costs less.

        Returns:
            An iterable (and async iterable) of `Event`, without end. Where the kernel had to drop events a row
            of kind GAP stands in their place.

        Entries that were made while nobody listened never report again when the sysctl nf_conntrack_events is 2
        (the default): see `settings()`.
        """
        compiled = as_filter(where)
        mask = 0b111111 if compiled is None else compiled.groups
        offered = [group for group in range(1, 7 if expectations else 4) if updates or group != GROUP_UPDATE]
        groups = [group for group in offered if mask & (1 << (group - 1))]
        if not groups:
            raise UsageError("this filter matches no event at all")
        return Events(
            _core.Listener(
                groups,
                compiled,
                netns=self._netns,
                buffer_bytes=buffer_bytes,
                reliable=reliable,
                kernel_filter=kernel_filter,
                gather_ms=gather_ms,
            )
        )

    def get(self, **fields: Any) -> _core.Flow:
        """Look up one flow by its original or reply tuple.

        Args:
            **fields: orig_src, orig_dst, l4proto (number), orig_sport, orig_dport … or reply_*; zone.

        Raises:
            NotFoundError: there is no such flow.
        """
        for flow in self.requests.flow("get", fields).flows():
            return flow
        raise NotFoundError("looking up a flow", 2, "the kernel sent no entry")

    def count(self) -> int:
        """Return the number of flows, those that wait for their DESTROY to be delivered included."""
        return self._global()["entries"]

    def limit(self) -> int | None:
        """Return how many flows the table may hold (nf_conntrack_max); None where the kernel does not say."""
        return self._global().get("max_entries")

    def _global(self) -> dict[str, int]:
        [(_, values)] = self.requests.stats("global")
        return dict(values)

    def stats(self) -> list[dict[str, int]]:
        """Return the kernel's counters, one mapping a CPU: `cpu` and the names of docs/commands.md.

        Values are 32 bits and wrap. Which ones there are depends on the kernel.
        """
        return [{"cpu": cpu, **dict(values)} for cpu, values in self.requests.stats("cpu")]

    def expectation_stats(self) -> list[dict[str, int]]:
        """Return the counters of expectations, one mapping a CPU."""
        return [{"cpu": cpu, **dict(values)} for cpu, values in self.requests.stats("expect")]

    def settings(self, *names: str) -> dict[str, int]:
        """Return sysctls of this namespace by name without `nf_conntrack_`; those it lacks are left out."""
        found: dict[str, int] = {}
        for name in names or ("events", "acct", "timestamp", "max", "buckets", "count"):
            path = f"/proc/sys/net/netfilter/nf_conntrack_{name}"
            try:
                found[name] = int(_core.read_in_namespace(path, self._netns))
            except OSError:
                continue
        return found

    # -- changing --------------------------------------------------------------------------------------------

    def create(self, *, replace: bool = False, **fields: Any) -> None:
        """Create a flow.

        Args:
            replace: change the entry if there is one already, instead of failing.
            **fields: at least orig_src, orig_dst, l4proto, timeout (seconds) and what the protocol needs
                (orig_sport, orig_dport; orig_icmp_type, orig_icmp_code, orig_icmp_id). The reply tuple is the
                mirror of the original one unless reply_* say otherwise. Also status, mark, zone, helper, labels,
                tcp_state (number), nat_src and nat_dst as (address, port).

        Raises:
            KernelError: the kernel refused; EEXIST when there is one and *replace* is not set.

        Source: IPCTNL_MSG_CT_NEW; net/netfilter/nf_conntrack_netlink.c, ctnetlink_create_conntrack.
        """
        self.requests.flow("add" if replace else "create", fields)

    def create_expectation(
        self, *, dst: str, dport: int, l4proto: int, timeout: int, src: str | None = None, sport: int = 0, **fields: Any
    ) -> None:
        """Create an expectation, as a helper outside the kernel does.

        Args:
            dst, dport: where somebody may connect to.
            l4proto: by which transport.
            timeout: for how long, seconds.
            src, sport: from where; None and 0: from anywhere.
            **fields: master_src, master_dst, master_l4proto, master_sport, master_dport: the original tuple of a flow
                that has a helper. Also zone.

        Raises:
            KernelError: the kernel refused; ENOENT when there is no such flow.

        Source: IPCTNL_MSG_EXP_NEW; net/netfilter/nf_conntrack_netlink.c, ctnetlink_create_expect.
        """
        exact, anybody = (":".join(["ffff"] * 8), "::") if ":" in dst else ("255.255.255.255", "0.0.0.0")
        wanted = {"src": src or anybody, "dst": dst, "l4proto": l4proto, "sport": sport, "dport": dport}
        mask = {
            "src": exact if src else anybody,
            "dst": exact,
            "l4proto": l4proto,
            "sport": 65_535 if sport else 0,
            "dport": 65_535,
        }
        parts = (("tuple", wanted), ("mask", mask))
        named = {f"{part}_{key}": value for part, values in parts for key, value in values.items()}
        self.requests.expectation("create", {**named, **fields, "timeout": timeout})

    def update(self, where: str | Filter, **fields: Any) -> int:
        """Change the flows that match *where*; return how many the kernel confirmed.

        Args:
            where: filter text or compiled filter; empty for all flows.
            **fields: timeout, mark [and mark_mask], status (bits are added, the kernel clears none), helper,
                labels and labels_mask (16 bytes each), tcp_state.
        """
        if not fields:
            raise UsageError("nothing to change: give at least one field")
        return sum(
            self.requests.update_flows(list(batch.flows()), fields).count(0) for batch in self.flows(where).batches()
        )

    def delete(self, where: str | Filter, *, limit: int | None = None) -> int:
        """Delete the flows that match *where*; return how many the kernel confirmed.

        Reads the table once and asks for each flow by tuple, zone and id, so that an entry replaced in between
        is left alone; those that had gone already do not count.

        Args:
            where: filter text or compiled filter. Empty text is refused: use `flush()`.
            limit: stop after this many; None for all.

        Source: IPCTNL_MSG_CT_DELETE; net/netfilter/nf_conntrack_netlink.c, ctnetlink_del_conntrack.
        """
        if isinstance(where, str) and not where.strip():
            raise UsageError("an empty filter would delete everything", hint="flush() does that")
        deleted = 0
        for batch in self.flows(where).batches():
            flows = list(batch.flows())
            if limit is not None:
                flows = flows[: limit - deleted]
            deleted += self.requests.delete_flows(flows).count(0)
            if limit is not None and deleted >= limit:
                break
        return deleted

    def delete_expectations(self, where: str | Filter = "") -> int:
        """Delete the expectations that match *where*; return how many the kernel confirmed."""
        return sum(
            self.requests.delete_expectations(list(batch.expectations())).count(0)
            for batch in self.expectations(where).batches()
        )

    def flush(self, family: str | None = None) -> None:
        """Delete all flows, or all of one family ("ipv4", "ipv6")."""
        if family not in FAMILIES:
            raise UsageError(f"unknown family '{family}': ipv4 or ipv6")
        self.requests.flush(FAMILIES[family])

    def flush_expectations(self) -> None:
        """Delete all expectations."""
        self.requests.flush_expectations()
