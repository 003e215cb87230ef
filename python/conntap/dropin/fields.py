"""From a plan's options to the fields of a request, in the names of docs/fields.md."""

from __future__ import annotations

from .addresses import show
from .words import CONFIRMED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .plan import Nat, Plan, Side

__all__ = ["creation", "expectation", "label_words", "lookup", "protocol_state"]

# ICMP types and those that answer them (net/netfilter/nf_conntrack_proto_icmp.c, ..._icmpv6.c, `invmap`).
_ANSWERS = {
    1: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17},
    58: {128: 129, 129: 128, 139: 140, 140: 139},
}

# TCP flags that are set for both directions of an entry made by hand: liberal window and SACK, and from TIME_WAIT on
# that the other side has closed (IP_CT_TCP_FLAG_* of include/uapi/linux/netfilter/nf_conntrack_tcp.h).
_LIBERAL_AND_SACK, _CLOSE_INIT, _TIME_WAIT = 0x0A, 0x04, 7

_TCP, _ICMP, _SCTP, _DCCP, _ICMPV6 = 6, 1, 132, 33, 58


def lookup(plan: Plan) -> dict[str, object]:
    """Return the fields that name one entry by its original tuple."""
    return _prefixed("orig", _values(plan, plan.orig, plan.reply))


def creation(plan: Plan) -> dict[str, object]:
    """Return the fields of a new entry. A value that one direction lacks is that of the other one, mirrored."""
    fields = _prefixed("orig", _values(plan, plan.orig, plan.reply))
    fields |= _prefixed("reply", _values(plan, plan.reply, plan.orig))
    fields |= protocol_state(plan)
    fields["family"] = plan.family
    fields["timeout"] = plan.timeout
    fields["zone"] = plan.zone
    fields["orig_zone"] = plan.orig_zone
    fields["reply_zone"] = plan.reply_zone
    if plan.status is not None:
        fields["status"] = plan.status[0] | CONFIRMED
    if plan.mark is not None:
        fields["mark"] = plan.mark[0]
    fields["nat_src"] = _nat(plan.src_nat)
    fields["nat_dst"] = _nat(plan.dst_nat)
    if plan.label_add:
        fields["labels"] = label_words([plan.label_numbers[name] for name in plan.label_add])
    return fields


def protocol_state(plan: Plan) -> dict[str, object]:
    """Return the protocol's part of a new or changed entry."""
    if plan.protonum == _TCP and plan.state is not None:
        flags = _LIBERAL_AND_SACK | (_CLOSE_INIT if plan.state >= _TIME_WAIT else 0)
        return {"tcp_state": plan.state, "tcp_flags_orig": (flags, flags), "tcp_flags_reply": (flags, flags)}
    if plan.protonum == _SCTP:
        given = {
            "sctp_state": plan.state,
            "sctp_vtag_orig": _wire_tag(plan.orig_vtag),
            "sctp_vtag_reply": _wire_tag(plan.reply_vtag),
        }
    elif plan.protonum == _DCCP:
        given = {"dccp_state": plan.state, "dccp_role": plan.role}
    else:
        return {}
    return {name: value for name, value in given.items() if value is not None}


def _wire_tag(tag: int | None) -> int | None:
    """Return the tag that the wire will have: the original sends its number in this machine's byte order."""
    if tag is None:
        return None
    from sys import byteorder

    return int.from_bytes((tag & 0xFFFFFFFF).to_bytes(4, byteorder), "big")


def expectation(plan: Plan) -> dict[str, object]:
    """Return the fields of a new expectation (-I), or those that name one (-D, -G)."""
    if plan.command != "I":
        return _prefixed("tuple", _values(plan, plan.orig, None)) | {"family": plan.family}
    fields = _prefixed("master", _values(plan, plan.orig, None))
    fields |= _prefixed("tuple", _values(plan, plan.expected, None))
    fields |= _prefixed("mask", _values(plan, plan.mask, None))
    return fields | {"family": plan.family, "timeout": plan.timeout}


def label_words(numbers: list[int]) -> bytes:
    """Return label bits as the kernel keeps them: four 32-bit words in host order."""
    from sys import byteorder

    bits = 0
    for number in numbers:
        bits |= 1 << number
    return b"".join((bits >> at & 0xFFFFFFFF).to_bytes(4, byteorder) for at in (0, 32, 64, 96))


def _values(plan: Plan, side: Side, other: Side | None) -> dict[str, object]:
    values: dict[str, object] = {"l4proto": plan.protonum}

    def put(name: str, value: object, mirrored: object) -> None:
        values[name] = mirrored if value is None else value

    put("src", side.src and show(side.src), other and other.dst and show(other.dst))
    put("dst", side.dst and show(side.dst), other and other.src and show(other.src))
    if plan.protonum in _ANSWERS:
        # Only the original direction has options for these.
        put("icmp_code", plan.orig.icmp_code, None)
        put("icmp_id", plan.orig.icmp_id, 0)
        kind = plan.orig.icmp_type
        values["icmp_type"] = kind if side is plan.orig else _ANSWERS[plan.protonum or 0].get(kind or 0, kind)
    else:
        put("sport", side.sport, other and other.dport)
        put("dport", side.dport, other and other.sport)
    return values


def _prefixed(prefix: str, values: dict[str, object]) -> dict[str, object]:
    return {f"{prefix}_{name}": value for name, value in values.items()}


def _nat(nat: Nat | None) -> tuple[str, int | None] | None:
    return None if nat is None or nat.address is None else (show(nat.address), nat.port)
