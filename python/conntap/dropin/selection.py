"""Which rows a plan asks for, in conntap's filter language.

All tests must hold. Addresses and ports of the original options are looked for in the original tuple, those of the
reply options in the reply tuple.
"""

from __future__ import annotations

from .addresses import AF_INET, AF_INET6, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conntap._core import Filter

    from .plan import Nat, Plan, Side

__all__ = ["selection", "words"]

# Commands for which these options say what to look for; elsewhere they say what to set.
_BY_STATE = ("L", "D", "E")


def selection(plan: Plan) -> Filter | None:
    """Return the filter of a plan; None when everything is asked for."""
    text = " and ".join(words(plan))
    if not text:
        return None
    from conntap._core import Filter

    return Filter(text)


def words(plan: Plan) -> list[str]:
    """Return the tests of a plan."""
    tests: list[str] = []
    if plan.family:
        tests.append({AF_INET: "ip", AF_INET6: "ip6"}[plan.family])
    if plan.protonum is not None:
        tests.append(f"proto {plan.protonum}")
    tests += _side("orig", plan.orig, plan.mask)
    tests += _side("reply", plan.reply, None)
    tests += _numbers(plan)
    tests += (f"label {plan.label_numbers[name]}" for name in plan.label)
    for word, nat in (("snat", plan.src_nat), ("dnat", plan.dst_nat), ("nat", plan.any_nat)):
        if nat is not None:
            tests.append(_nat(word, nat))
    if plan.command in _BY_STATE:
        tests += _state(plan)
    return tests


def _side(direction: str, side: Side, mask: Side | None) -> list[str]:
    tests: list[str] = []
    for end, address, bits in (
        ("src", side.src, mask and mask.src),
        ("dst", side.dst, mask and mask.dst),
    ):
        if address is not None:
            tests.append(f"{direction} {end} {show(address)}" + (f" mask {show(bits)}" if bits is not None else ""))
    for word, port in (("sport", side.sport), ("dport", side.dport)):
        if port is not None:
            tests.append(f"{direction} {word} {port}")
    for word, number in (("icmptype", side.icmp_type), ("icmpcode", side.icmp_code), ("icmpid", side.icmp_id)):
        if number is not None:
            tests.append(f"{word} {number}")
    return tests


def _numbers(plan: Plan) -> list[str]:
    return [
        f"{word} {number}"
        for word, number in (
            ("zone", plan.zone),
            ("orig zone", plan.orig_zone),
            ("reply zone", plan.reply_zone),
            ("id", plan.id),
            ("secmark", plan.secmark),
        )
        if number is not None
    ]


def _nat(word: str, nat: Nat) -> str:
    if nat.address is None:
        return word
    address = show(nat.address)
    if nat.port is None:
        return f"{word} to {address}"
    return f"{word} to [{address}]:{nat.port}" if len(nat.address) > 4 else f"{word} to {address}:{nat.port}"


def _state(plan: Plan) -> list[str]:
    """Return tests of what changes in an entry's life."""
    tests: list[str] = []
    if plan.status is not None:
        wanted, refused = plan.status
        # A bit asked for both ways can never hold: the mask is tested with the bit set.
        tests.append(f"status {wanted}/{wanted | refused}")
        if wanted & refused:
            tests.append(f"not status {wanted & refused}/{wanted & refused}")
    if plan.mark is not None:
        tests.append(f"mark {plan.mark[0]}/{plan.mark[1]}")
    if plan.timeout is not None:
        tests.append(f"timeout {plan.timeout}")
    if plan.state is not None:
        tests.append(f"state {plan.state}")
    return tests
