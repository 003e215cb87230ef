"""Which rules a knock met: nf_tables' own trace, read from its netlink group.

Also rules of iptables are traced so, because they are loaded by its nft variant. Handles are this namespace's; a rule
is found again in the gateway's rule set by its number within its chain.

Source: linux/netfilter/nf_tables.h (NFTA_TRACE_…), net/netfilter/nf_tables_trace.c.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, Final, cast

from conntap.lab.prove.model import Step
from conntap.lab.prove.stage import KNOCKER
from conntap.netlink import ATTRIBUTES_AT, HEAD, messages, values

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from conntap.gateway.state import Gateway
    from conntap.lab.host import Host

__all__ = ["Trace", "numbers"]

OWN: Final = "conntap_"
TABLE: Final = f"{OWN}proof"
NETLINK_NETFILTER: Final = 12
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1
NFNLGRP_NFTRACE: Final = 9
NFT_MSG_TRACE: Final = 10 << 8 | 17
TRACE_TABLE, TRACE_CHAIN, TRACE_HANDLE, TRACE_TYPE, TRACE_VERDICT, TRACE_POLICY = 1, 2, 3, 4, 5, 16
TYPE_POLICY, TYPE_RULE = 1, 3
VERDICTS: Final = {0: "drop", 1: "accept", 2: "stolen", 3: "queue"}
FAMILIES: Final = {1: "inet", 2: "ip", 5: "netdev", 7: "bridge", 10: "ip6"}
SOURCES: Final = {"ip": "iptables", "ip6": "ip6tables"}
RULES: Final = f"""\
table inet {TABLE} {{
    chain knocks {{
        type filter hook prerouting priority -500; policy accept;
        ether saddr {KNOCKER.hex(":")} meta nftrace set 1
    }}
}}
"""


class Trace:
    """Reads the trace of knocks; use with `with`, after the rules have been loaded."""

    __slots__ = ("_gateway", "_host", "_places", "_socket")

    def __init__(self, host: Host, gateway: Gateway) -> None:
        self._host = host
        self._gateway = gateway
        host.run(["nft", "-f", "-"], input=RULES)
        self._places = numbers(host.run(["nft", "-j", "-a", "list", "ruleset"]))
        self._socket = host.call(_open)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def read(self) -> tuple[Step, ...]:
        """The deciding rules of what was traced since the last call, in order."""
        found: list[Step] = []
        while True:
            try:
                data = self._socket.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return tuple(found)
            traced = (one for one in messages(data) if HEAD.unpack_from(one)[1] == NFT_MSG_TRACE)
            steps = (self._step(one[HEAD.size], values(one, ATTRIBUTES_AT)) for one in traced)
            found += [step for step in steps if step is not None]

    def _step(self, family_number: int, told: dict[int, bytes]) -> Step | None:
        family = FAMILIES.get(family_number, str(family_number))
        table, chain = (told.get(one, b"").rstrip(b"\0").decode() for one in (TRACE_TABLE, TRACE_CHAIN))
        kind = int.from_bytes(told.get(TRACE_TYPE, b""))
        if table.startswith(OWN):
            return None
        if kind == TYPE_POLICY:
            word = VERDICTS.get(int.from_bytes(told.get(TRACE_POLICY, b"")), "?")
            return Step(f"table {family} {table}, chain {chain}", word, "policy")
        code = int.from_bytes(values(told.get(TRACE_VERDICT, b"")).get(1, b"\xff" * 4), signed=True)
        if kind != TYPE_RULE or code not in VERDICTS:
            return None
        handle = int.from_bytes(told.get(TRACE_HANDLE, b""))
        return self._rule(family, table, chain, handle, VERDICTS[code])

    def _rule(self, family: str, table: str, chain: str, handle: int, verdict: str) -> Step:
        number = self._places.get((family, table, chain, handle), -1)
        for source in ("nft", SOURCES.get(family, "")):
            found = self._gateway.rules.chains.get((source, family, table, chain))
            if found is not None and 0 <= number < len(found.rules):
                place = found.rules[number].place
                return Step(str(place), verdict, place.text)
        return Step(f"table {family} {table}, chain {chain}, rule {number + 1}", verdict)


def _open() -> socket.socket:
    handle = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    handle.bind((0, 0))
    handle.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE)
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
    return handle


def numbers(text: str) -> dict[tuple[str, str, str, int], int]:
    """(family, table, chain, handle) → the rule's number within its chain, from 0."""
    counts: dict[tuple[str, str, str], int] = {}
    found: dict[tuple[str, str, str, int], int] = {}
    for item in cast("list[dict[str, dict[str, Any]]]", json.loads(text)["nftables"]):
        if (rule := item.get("rule")) is not None:
            key = (rule["family"], rule["table"], rule["chain"])
            number = counts[key] = counts.get(key, -1) + 1
            found[*key, rule["handle"]] = number
    return found
