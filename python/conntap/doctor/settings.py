"""The settings of connection tracking, one table: what each is, the kernel's own value, when it is not fine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap.doctor.model import Entry, Level
from conntap.doctor.timeouts import TIMEOUTS, judge_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conntap.doctor.reading import Reading

__all__ = ["ELSEWHERE", "SETTINGS", "Setting", "look"]

STANDALONE: Final = "net/netfilter/nf_conntrack_standalone.c"
TCP: Final = "net/netfilter/nf_conntrack_proto_tcp.c"

Verdict = tuple[Level, str, str]
"""How it stands, why, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        name: without `net.netfilter.`.
        group: where it is told.
        default: the kernel's own value; None where it depends on the machine.
        what: what it is.
        source: where the kernel uses it.
        judge: value and reading → how it stands; None: the default is fine, another value is worth knowing.
    """

    name: str
    group: str
    default: int | None
    what: str
    source: str
    judge: Callable[[int, Reading], Verdict] | None = None


def _wanted_by_a_log(name: str) -> Callable[[int, Reading], Verdict]:
    """Fine as long as nobody listens; `conntap.knobs` tells what a log lacks without it."""

    def judge(value: int, seen: Reading) -> Verdict:
        from conntap.doctor.listeners import listening
        from conntap.knobs import KNOBS

        knob = next(knob for knob in KNOBS if knob.name == name)
        if value == knob.wanted:
            return "fine", f"{knob.gives}; costs {knob.costs}", ""
        if listening(seen):
            # Without events nothing is heard; the others only say more.
            level: Level = "todo" if name == "nf_conntrack_events" else "note"
            return level, f"somebody listens for events: {knob.lost}", f"sysctl -w {knob.sysctl.replace(' ', '')}"
        return "fine", f"nobody listens for events now; a log would lack something: {knob.lost}", ""

    return judge


def _loose(value: int, seen: Reading) -> Verdict:
    if not value:
        return "note", "connections that were open before the table was empty (a restart, a failover) are INVALID", ""
    forwards = seen.settings.get("ipv4/ip_forward") == "1" or seen.settings.get("ipv6/conf/all/forwarding") == "1"
    why = "the middle of a connection that the table does not know is taken as its begin: it survives a restart"
    return "fine", f"{why}; rules that accept NEW accept it without a SYN" if forwards else why, ""


def _liberal(value: int, _seen: Reading) -> Verdict:
    if not value:
        return "fine", "packets outside of the window are INVALID", ""
    why = "packets outside of the window count as part of the connection: whoever guesses ports alone can inject them"
    return "todo", why, "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=0  (unless routes are asymmetric here)"


def _invalid_rst(value: int, _seen: Reading) -> Verdict:
    if not value:
        return "fine", "a RST below what was acknowledged is INVALID", ""
    why = "a RST with any sequence number ends a connection's entry: whoever guesses ports alone can do that"
    return "todo", why, "sysctl -w net.netfilter.nf_conntrack_tcp_ignore_invalid_rst=0"


def _checksum(value: int, _seen: Reading) -> Verdict:
    if value:
        return "fine", "packets that came damaged are INVALID and do not change a connection's state", ""
    why = "damaged packets change the state of connections that their receiver will not change"
    return "note", why, ""


def _log_invalid(value: int, seen: Reading) -> Verdict:
    if not value:
        return "fine", "off; conntap doctor --log-invalid PROTOCOL TIME turns it on for a while", ""
    where = "the kernel's log, or nfnetlink_log"
    if not seen.reaches_kernel_log:
        where = "nowhere unless nfnetlink_log is the logger: another namespace's lines do not reach the kernel's log"
    who = "every protocol's" if value == 255 else f"protocol {value}'s"
    why = f"{who} INVALID packets are logged one by one, without a limit, to {where}"
    return "note", why, "sysctl -w net.netfilter.nf_conntrack_log_invalid=0  (when you are done)"


def _helper(value: int, _seen: Reading) -> Verdict:
    if not value:
        return "fine", "helpers are assigned by rules only", ""
    why = "helpers are assigned by port, to any destination: every connection to port 21, 5060, 6667 … may open holes"
    return "todo", why, "sysctl -w net.netfilter.nf_conntrack_helper=0, and assign helpers by rules"


def _all_netns(value: int, _seen: Reading) -> Verdict:
    if not value:
        return "fine", "containers cannot fill the kernel's log", ""
    return "note", "every namespace writes into the kernel's log: a container can fill it", ""


def _retrans(value: int, _seen: Reading) -> Verdict:
    if value == 3:
        return "fine", "the kernel's own value", ""
    return "note", "the kernel's own value is 3", ""


SETTINGS: Final = (
    Setting(
        name="nf_conntrack_events",
        group="settings",
        default=2,
        source="net/netfilter/nf_conntrack_ecache.c, nf_ct_ecache_ext_add",
        what="whether connections report: 0 never, 1 always, 2 those that begin while somebody listens",
        judge=_wanted_by_a_log("nf_conntrack_events"),
    ),
    Setting(
        name="nf_conntrack_acct",
        group="settings",
        default=0,
        source="include/net/netfilter/nf_conntrack_acct.h, nf_ct_acct_ext_add",
        what="packets and bytes are counted for each connection",
        judge=_wanted_by_a_log("nf_conntrack_acct"),
    ),
    Setting(
        name="nf_conntrack_timestamp",
        group="settings",
        default=0,
        source="include/net/netfilter/nf_conntrack_timestamp.h, nf_ct_tstamp_ext_add",
        what="each connection remembers when it began",
        judge=_wanted_by_a_log("nf_conntrack_timestamp"),
    ),
    Setting(
        name="nf_conntrack_checksum",
        group="settings",
        default=1,
        source=f"{STANDALONE}; nf_checksum",
        what="checksums of received packets are verified",
        judge=_checksum,
    ),
    Setting(
        name="nf_hooks_lwtunnel",
        group="settings",
        default=0,
        source="net/netfilter/nf_hooks_lwtunnel.c",
        what="packets inside of lightweight tunnels pass the rules, and are tracked",
    ),
    Setting(
        name="nf_conntrack_tcp_loose",
        group="tcp",
        default=1,
        source=f"{TCP}, tcp_new",
        judge=_loose,
        what="connections are picked up in the middle",
    ),
    Setting(
        name="nf_conntrack_tcp_be_liberal",
        group="tcp",
        default=0,
        source=f"{TCP}, nf_tcp_log_invalid",
        judge=_liberal,
        what="packets outside of the window are let pass",
    ),
    Setting(
        name="nf_conntrack_tcp_ignore_invalid_rst",
        group="tcp",
        default=0,
        source=f"{TCP}, nf_conntrack_tcp_packet",
        judge=_invalid_rst,
        what="the sequence number of a RST is not checked",
    ),
    Setting(
        name="nf_conntrack_tcp_max_retrans",
        group="tcp",
        default=3,
        source=f"{TCP}, nf_conntrack_tcp_packet",
        judge=_retrans,
        what="so many repeated packets without an answer, and the timeout becomes tcp_timeout_max_retrans",
    ),
    Setting(
        name="nf_conntrack_dccp_loose",
        group="tcp",
        default=1,
        source="net/netfilter/nf_conntrack_proto_dccp.c (before 6.16)",
        what="DCCP connections are picked up in the middle",
    ),
    Setting(
        name="nf_conntrack_helper",
        group="helpers",
        default=0,
        source="net/netfilter/nf_conntrack_helper.c (before 6.0)",
        what="helpers are assigned by port, without a rule",
        judge=_helper,
    ),
    Setting(
        name="nf_conntrack_log_invalid",
        group="logging",
        default=0,
        source="net/netfilter/nf_conntrack_proto.c, nf_l4proto_log_invalid",
        what="INVALID packets are logged: 0 none, 255 all, else those of this protocol",
        judge=_log_invalid,
    ),
    Setting(
        name="nf_log_all_netns",
        group="logging",
        default=0,
        source="net/netfilter/nf_log.c; nf_log_syslog.c",
        what="other namespaces may write into the kernel's log",
        judge=_all_netns,
    ),
    Setting(
        name="nf_conntrack_frag6_high_thresh",
        group="fragments",
        default=4 << 20,
        source="net/ipv6/netfilter/nf_conntrack_reasm.c",
        what="bytes of IPv6 fragments that may wait for the rest of their datagram",
    ),
    Setting(
        name="nf_conntrack_frag6_low_thresh",
        group="fragments",
        default=3 << 20,
        source="net/ipv6/netfilter/nf_conntrack_reasm.c",
        what="down to so many bytes fragments are thrown away when there are too many",
    ),
    Setting(
        name="nf_conntrack_frag6_timeout",
        group="fragments",
        default=60,
        source="net/ipv6/netfilter/nf_conntrack_reasm.c",
        what="seconds that IPv6 fragments wait",
    ),
    Setting(
        name="nf_flowtable_tcp_timeout",
        group="timeouts",
        default=30,
        source="net/netfilter/nf_flow_table_core.c",
        what="seconds that a silent TCP connection stays in a flow table's fast path",
    ),
    Setting(
        name="nf_flowtable_udp_timeout",
        group="timeouts",
        default=30,
        source="net/netfilter/nf_flow_table_core.c",
        what="seconds that a silent UDP connection stays in a flow table's fast path",
    ),
)

#: Settings that other tables tell of: table.py and logging.py.
ELSEWHERE: Final = frozenset(
    {"nf_conntrack_count", "nf_conntrack_max", "nf_conntrack_buckets", "nf_conntrack_expect_max"}
)

#: Such names of settings concern connection tracking.
OURS: Final = ("nf_conntrack_", "nf_flowtable_", "nf_log_", "nf_hooks_")


def look(seen: Reading) -> Iterator[Entry]:
    """What there is to say of each, and which are unknown."""
    for setting in SETTINGS:
        value = seen.number(setting.name)
        if value is not None:
            yield _entry(setting, value, seen)
    for timeout in TIMEOUTS:
        value = seen.number(timeout.name)
        if value is not None:
            yield judge_timeout(timeout, value, seen)
    yield from _unknown(seen)


def _entry(setting: Setting, value: int, seen: Reading) -> Entry:
    level: Level
    if setting.judge is not None:
        level, why, todo = setting.judge(value, seen)
    elif value == setting.default:
        level, why, todo = "fine", "the kernel's own value", ""
    else:
        level, why, todo = "note", f"the kernel's own value is {setting.default:,}", ""
    return Entry(
        group=setting.group, name=setting.name, value=f"{value:,}", number=value, level=level, what=setting.what,
        why=why, todo=todo, source=setting.source,
    )  # fmt: skip


def _unknown(seen: Reading) -> Iterator[Entry]:
    known = {setting.name for setting in SETTINGS} | {timeout.name for timeout in TIMEOUTS} | ELSEWHERE
    for name, text in seen.settings.items():
        short = name.removeprefix("netfilter/")
        if short != name and "/" not in short and short.startswith(OURS) and short not in known:
            yield Entry(
                group="unknown", name=short, value=text, level="unknown", what="a setting that is unknown to us",
                why="this kernel is newer than this conntap, or carries something of its own",
            )  # fmt: skip
