"""What rules of iptables do: targets as statements.

Source: iptables(8), iptables-extensions(8); net/netfilter/xt_CT.c, xt_mark.c, xt_connmark.c, xt_nat.c.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final, Literal

from conntap.rules.iptables_matches import MARK, number
from conntap.rules.model import Assign, Change, Notrack, Span, Translate, Unread, Verdict

if TYPE_CHECKING:
    from conntap.rules.iptables_words import Option
    from conntap.rules.model import Statement

__all__ = ["KNOWN", "done"]

VERDICTS: Final[dict[str, Verdict]] = {
    "ACCEPT": Verdict("accept"),
    "DROP": Verdict("drop"),
    "REJECT": Verdict("reject"),
    "RETURN": Verdict("return"),
    "QUEUE": Verdict("queue"),
    "NFQUEUE": Verdict("queue"),
    "CONTINUE": Verdict("continue"),
}
#: The packet goes on with the next rule, and no rule can ask for what they change in words that are known here.
NEUTRAL: Final = {
    *("LOG", "NFLOG", "ULOG", "TRACE", "AUDIT", "TCPMSS", "CLASSIFY", "DSCP", "TOS", "TTL", "HL", "ECN", "TCPOPTSTRIP"),
    *("CHECKSUM", "IDLETIMER", "LED", "RATEEST", "SECMARK", "CONNSECMARK", "TEE", "SET", "ACCOUNT"),
}
TRANSLATIONS: Final[dict[str, tuple[Literal["snat", "dnat", "masquerade", "redirect"], str]]] = {
    "SNAT": ("snat", "--to-source"),
    "DNAT": ("dnat", "--to-destination"),
    "MASQUERADE": ("masquerade", "--to-ports"),
    "REDIRECT": ("redirect", "--to-ports"),
}
#: Targets that there are; what they do cannot be told.
OTHERS: Final = {"TPROXY", "SYNPROXY", "NETMAP", "CLUSTERIP", "DNPT", "SNPT", "HMARK", "TARPIT", "DELUDE", "CHAOS"}
KNOWN: Final = {*VERDICTS, *NEUTRAL, *TRANSLATIONS, *OTHERS, "CT", "NOTRACK", "MARK", "CONNMARK"}
#: Options of CT that say nothing of where packets go.
QUIET: Final = {"--ctevents", "--expevents", "--timeout"}
RANDOM: Final = {"--random", "--random-fully", "--persistent"}


def done(target: str, options: list[Option], l4proto: int, nfproto: int) -> tuple[Statement, ...]:
    """The statements of a target that is no chain.

    Args:
        l4proto: that the rule asks for, 0: any.
    """
    text = " ".join(("-j", target, *(str(one) for one in options)))
    try:
        if target in VERDICTS:
            return (VERDICTS[target],)
        if target in NEUTRAL:
            return ()
        if target in TRANSLATIONS:
            return (_translation(target, options, nfproto),)
        match target:
            case "NOTRACK":
                return (Notrack(),)
            case "CT":
                return tuple(one for option in options for one in _template(option, l4proto, nfproto))
            case "MARK":
                return tuple(_changed("mark", option) for option in options)
            case "CONNMARK":
                return _connmark(options)
            case _:
                return (Unread(text),)
    except ValueError:
        return (Unread(text),)


def _value(option: Option) -> str:
    if len(option.values) != 1 or option.negated:
        raise ValueError(str(option))
    return option.values[0]


def _template(option: Option, l4proto: int, nfproto: int) -> tuple[Statement, ...]:
    """`-j CT`: what an entry is to have once it is made."""
    match option.name:
        case "--notrack":
            return (Notrack(),)
        case "--helper":
            return (Assign(_value(option), l4proto, nfproto),)
        case "--zone" | "--zone-orig" | "--zone-reply":
            word = _value(option)
            return (Change("ct_zone", None if word == "mark" else number(word, 0xFFFF)),)
        case name if name in QUIET:
            return ()
        case _:
            raise ValueError(str(option))


def _changed(field: str, option: Option) -> Change:
    """A mark that is set: new = (old and not mask) xor value."""
    value, slash, mask = _value(option).partition("/")
    bits = number(value, MARK)
    limit = number(mask, MARK) if slash else MARK
    match option.name:
        case "--set-xmark":
            return Change(field, bits, MARK & ~limit)
        case "--set-mark":
            return Change(field, bits, MARK & ~(limit | bits))
        case "--and-mark" if not slash:
            return Change(field, 0, bits)
        case "--or-mark" if not slash:
            return Change(field, bits, MARK & ~bits)
        case "--xor-mark" if not slash:
            return Change(field, bits, MARK)
        case _:
            raise ValueError(str(option))


def _connmark(options: list[Option]) -> tuple[Statement, ...]:
    found: list[Statement] = []
    masks = {"--nfmask", "--ctmask", "--mask"}
    whole = all(number(_value(one), MARK) == MARK for one in options if one.name in masks)
    for option in options:
        if option.name in ("--save-mark", "--restore-mark"):
            to, of = ("ct_mark", "mark") if option.name == "--save-mark" else ("mark", "ct_mark")
            found.append(Change(to, 0, MARK, of) if whole else Change(to))
        elif option.name not in masks:
            found.append(_changed("ct_mark", option))
    return tuple(found)


def _translation(target: str, options: list[Option], nfproto: int) -> Translate:
    kind, name = TRANSLATIONS[target]
    to = [_value(one) for one in options if one.name == name]
    if len(to) > 1 or any(one.name not in {name, *RANDOM} for one in options):
        raise ValueError(target)
    if not to:
        return Translate(kind)
    if kind in ("masquerade", "redirect"):
        return Translate(kind, ports=_span(to[0]))
    address, ports = _split(to[0], nfproto)
    first, _, last = address.partition("-")
    make = ipaddress.IPv4Address if nfproto == 4 else ipaddress.IPv6Address
    span = (Span(int(make(first)), int(make(last or first))),) if first else ()
    return Translate(kind, span, _span(ports) if ports else None)


def _split(text: str, nfproto: int) -> tuple[str, str]:
    """Address and ports: `10.0.0.1-10.0.0.9:80`, `[2001:db8::1]:80`, `:80`."""
    if text.startswith("["):
        address, _, ports = text[1:].partition("]")
        return address, ports.removeprefix(":")
    if nfproto == 4 or (text.startswith(":") and not text.startswith("::")):
        address, _, ports = text.partition(":")
        return address, ports
    return text, ""


def _span(text: str) -> Span:
    first, dash, last = text.partition("/")[0].partition("-")
    low = number(first, 65535)
    return Span(low, number(last, 65535) if dash else low)
