"""A gateway's rules and settings into a namespace: all of them, or the reason why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

from conntap.lab.errors import LabError, MissingProgramError
from conntap.lab.prove.automatic import SAID, automatic_of, rules_of

if TYPE_CHECKING:
    from conntap.gateway.state import Gateway
    from conntap.lab.host import Host

__all__ = ["RefusedError", "cannot_prove", "load", "nft_of", "read_back"]

#: Settings of a namespace that change what gets through; module parameters belong to the machine and are never changed.
SETTINGS: Final = (
    "net.netfilter.nf_conntrack_tcp_loose",
    "net.netfilter.nf_conntrack_tcp_be_liberal",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
)
#: Kept as they are in the kernel that runs the proof: module → its parameters that loosen helpers.
PARAMETERS: Final = {
    "nf_conntrack_ftp": ("loose",),
    "nf_conntrack_sip": ("sip_direct_signalling", "sip_direct_media", "sip_external_media"),
    "nf_conntrack_h323": ("gkrouted_only", "callforward_filter"),
}


class RefusedError(LabError):
    """The namespace does not take the rule set."""


def load(host: Host, gateway: Gateway) -> None:
    """Load rules and settings.

    Raises:
        RefusedError: something of it cannot be had in this kernel or by these programs; the text says what.
        MissingProgramError: `nft` or `iptables-restore` is not installed.
    """
    if text := nft_of(gateway):
        restore(host, ["nft", "-j", "-f", "-"], text, "the rules of nft")
    for name, program in (("iptables-save", "iptables-nft-restore"), ("ip6tables-save", "ip6tables-nft-restore")):
        if text := gateway.texts.get(name, ""):
            restore(host, [program], text, f"the rules of {name.removesuffix('-save')}")
    if automatic := automatic_of(gateway):
        restore(host, ["nft", "-f", "-"], rules_of(automatic), "helpers of nf_conntrack_helper=1")
    for name in SETTINGS:
        if (value := gateway.sysctl(name)) is not None:
            host.sysctl({name.removeprefix("net.").replace(".", "/"): value})


def read_back(host: Host, gateway: Gateway) -> Gateway:
    """The rules that a namespace has now, as its programs tell them."""
    texts: dict[str, str] = {}
    if gateway.texts.get("nft.json"):
        texts["nft.json"] = host.run(["nft", "-j", "list", "ruleset"])
    for name, program in (("iptables-save", "iptables-nft-save"), ("ip6tables-save", "ip6tables-nft-save")):
        if gateway.texts.get(name):
            texts[name] = host.run([program])
    return type(gateway)(texts)


def restore(host: Host, command: list[str], text: str, what: str) -> None:
    try:
        host.run(command, input=text)
    except MissingProgramError:
        raise
    except LabError as error:
        words = str(error).partition(f"{' '.join(command)}: ")[2] or str(error)
        said = "; ".join(line.strip() for line in words.splitlines() if line.strip(" ^\t"))[:400]
        raise RefusedError(f"{what} could not be loaded: {said}") from error


def nft_of(gateway: Gateway) -> str:
    """The rules of nft as JSON that loads: without tables that iptables-save has as well.

    Raises:
        RefusedError: a rule has parts that nft cannot write and so not read.
    """
    text = gateway.texts.get("nft.json", "")
    if not text:
        return ""
    try:
        parsed: Any = json.loads(text)
        items = cast("list[dict[str, dict[str, Any]]]", parsed["nftables"])
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError("the rules of nft could not be loaded: they are no JSON of `nft -j list ruleset`") from error
    kept = {
        (chain.place.family, chain.place.table)
        for chain in gateway.rules.chains.values()
        if chain.place.source == "nft"
    }
    chained: set[tuple[str, str]] = {(one["chain"]["family"], one["chain"]["table"]) for one in items if "chain" in one}
    both = gateway.texts.get("iptables-save") or gateway.texts.get("ip6tables-save")
    doubles: set[tuple[str, str]] = chained - kept if both else set()
    found: list[dict[str, dict[str, Any]]] = []
    for item in items:
        kind, one = next(iter(item.items()))
        table = one.get("name") if kind == "table" else one.get("table")
        if (one.get("family"), table) in doubles or kind == "metainfo":
            continue
        if kind == "rule" and any("xt" in part for part in cast("list[dict[str, Any]]", one.get("expr", []))):
            raise RefusedError(
                f"the rules of nft could not be loaded: table {one['family']} {table}, chain {one['chain']}, handle "
                f"{one.get('handle')} has a match of iptables, which nft does not write",
                hint="give iptables-save, too",
            )
        found.append(item)
    found.sort(key=rank)  # nft lists verdict maps before the chains that they lead to, and reads in order
    return json.dumps({"nftables": found}) if found else ""


def rank(item: dict[str, dict[str, Any]]) -> int:
    """Tables, chains, what rules need, rules."""
    return {"table": 0, "chain": 1, "rule": 3}.get(next(iter(item)), 2)


def cannot_prove(gateway: Gateway) -> list[str]:
    """What differs between the gateway and this kernel so that the proof cannot speak of it."""
    found: list[str] = []
    for module, names in PARAMETERS.items():
        for name in names:
            theirs = gateway.parameter(module, name)
            ours = parameter(module, name)
            if theirs is not None and ours is not None and _plain(theirs) != _plain(ours):
                found.append(
                    f"{module}.{name} is {theirs} there and {ours} here, and belongs to the whole machine: "
                    "what it opens is not shown"
                )
    if automatic_of(gateway):
        found.append(SAID)
    return found


def parameter(module: str, name: str) -> str | None:
    """A module's parameter in the running kernel; None where it cannot be read."""
    try:
        with open(f"/sys/module/{module}/parameters/{name}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def _plain(value: str) -> str:
    return {"Y": "1", "N": "0"}.get(value.strip().upper(), value.strip())
