"""What the targets of iptables do, as statements; one that is not understood is a statement that says so.

Source: iptables-extensions(8), net/netfilter/xt_CT.c, xt_mark.c, xt_connmark.c, xt_nat.c.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final, Literal

from conntap.rules.iptables_matches import UnknownError, number, ports
from conntap.rules.model import Assign, Change, Notrack, Span, Translate, Unread, Verdict

if TYPE_CHECKING:
    from conntap.rules.iptables_words import Group, Option
    from conntap.rules.model import Condition, Statement

__all__ = ["PROTOCOL", "statements"]

#: The field that `-p` asks for.
PROTOCOL: Final = "l4proto"
VERDICTS: Final[dict[str, Literal["accept", "drop", "reject", "queue", "return"]]] = {
    "ACCEPT": "accept",
    "DROP": "drop",
    "REJECT": "reject",
    "QUEUE": "queue",
    "NFQUEUE": "queue",
    "RETURN": "return",
}
#: They let every packet go on as it was, as far as rules here can tell.
NEUTRAL: Final = {
    "LOG", "NFLOG", "ULOG", "TRACE", "AUDIT", "TCPMSS", "TCPOPTSTRIP", "CLASSIFY", "DSCP", "TOS", "ECN", "TTL", "HL",
    "CHECKSUM", "SECMARK", "CONNSECMARK", "IDLETIMER", "LED", "RATEEST", "SET", "TEE", "ACCOUNT", "FLOWOFFLOAD",
}  # fmt: skip
#: Every target of the kernel has a name in capitals; a user's own chain may have one, too, and is declared.
EXTENSIONS: Final = {
    *VERDICTS, *NEUTRAL, "CT", "NOTRACK", "MARK", "CONNMARK", "SNAT", "DNAT", "MASQUERADE", "REDIRECT", "NETMAP",
    "TPROXY", "SYNPROXY", "HMARK", "CLUSTERIP", "SAME", "DNPT", "SNPT",
}  # fmt: skip
ALL: Final = 0xFFFFFFFF


def statements(group: Group, nfproto: int, transport: Condition | None) -> list[Statement]:
    """What a target does.

    Args:
        group: its words.
        nfproto: 4 or 6.
        transport: what the rule asks of the transport protocol; None: nothing.
    """
    if group.target == "goto":
        return [Verdict("goto", group.name)]
    if group.name in VERDICTS:
        return [Verdict(VERDICTS[group.name])]
    if group.name in NEUTRAL:
        return []
    if group.name not in EXTENSIONS:
        return [Verdict("jump", group.name)]
    options = {option.name: option for option in group.options}
    try:
        match group.name:
            case "CT":
                return _tracking(options, group.text, nfproto, transport)
            case "NOTRACK":
                return [Notrack()]
            case "MARK":
                return [_mark("mark", options)]
            case "CONNMARK":
                return [_connection_mark(options)]
            case "SNAT" | "DNAT" | "MASQUERADE" | "REDIRECT":
                return [_translation(group.name, options)]
            case _:
                return [Unread(group.text)]
    except (UnknownError, ValueError):
        return [Unread(group.text)]


def _tracking(options: dict[str, Option], text: str, nfproto: int, transport: Condition | None) -> list[Statement]:
    """`CT`: a template for the connection."""
    found: list[Statement] = []
    for name, option in options.items():
        match name:
            case "--notrack":
                found.append(Notrack())
            case "--helper":
                found.append(Assign(option.value, _only(transport), nfproto))
            case "--zone" | "--zone-orig":
                found.append(Change("ct_zone", number(option.value) if option.value != "mark" else None))
            case "--ctevents" | "--expevents" | "--timeout" | "--zone-reply":
                pass
            case _:
                found.append(Unread(text))
    return found


def _only(transport: Condition | None) -> int:
    """The transport protocol that a rule asks for; 0 for any. A helper is found by it (xt_ct_find_proto)."""
    if transport is None or transport.negated:
        return 0
    [[[value]]] = transport.rows
    return value.first if isinstance(value, Span) else 0


def _mark(field: str, options: dict[str, Option]) -> Change:
    for name, option in options.items():
        value, slash, mask = option.value.partition("/")
        bits = number(mask) if slash else ALL
        match name:
            case "--set-xmark":
                return Change(field, number(value), ALL & ~bits)
            case "--set-mark":
                return Change(field, number(value) & ALL, ALL & ~(bits | number(value)) if slash else 0)
            case "--or-mark":
                return Change(field, number(value), ALL & ~number(value))
            case "--and-mark":
                return Change(field, 0, number(value))
            case "--xor-mark":
                return Change(field, number(value), ALL)
            case _:
                pass
    raise UnknownError


def _connection_mark(options: dict[str, Option]) -> Change:
    masks = {number(options[name].value) for name in ("--nfmask", "--ctmask", "--mask") if name in options}
    for name, field, other in (("--save-mark", "ct_mark", "mark"), ("--restore-mark", "mark", "ct_mark")):
        if name in options:
            whole = masks <= {ALL}
            return Change(field, 0, ALL, other) if whole else Change(field, None)
    return _mark("ct_mark", options)


def _translation(name: str, options: dict[str, Option]) -> Translate:
    kinds: dict[str, Literal["snat", "dnat", "masquerade", "redirect"]] = {
        "SNAT": "snat",
        "DNAT": "dnat",
        "MASQUERADE": "masquerade",
        "REDIRECT": "redirect",
    }
    to = next((options[key].value for key in ("--to-source", "--to-destination") if key in options), "")
    if (only := options.get("--to-ports")) is not None:
        return Translate(kinds[name], (), ports(only.value))
    addresses, _, behind = to.partition("]:") if to.startswith("[") else (to, "", "")
    if not to.startswith("[") and to.count(":") == 1:
        addresses, _, behind = to.partition(":")
    first, dash, last = addresses.strip("[]").partition("-")
    if not first:
        return Translate(kinds[name], (), ports(behind) if behind else None)
    if "/" in first:
        network = ip_network(first, strict=False)
        return Translate(kinds[name], (Span(int(network.network_address), int(network.broadcast_address)),))
    low = int(ip_address(first))
    high = int(ip_address(last)) if dash else low
    return Translate(kinds[name], (Span(low, high),), ports(behind.partition("/")[0]) if behind else None)
