"""All checks by id, with what `conntap audit explain ID` and docs/audit.md say of each.

Ids are for ever: none is used twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap.audit.checks import assigning, related, settings, table, tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conntap.audit.finding import Finding
    from conntap.audit.view import View

__all__ = ["BY_ID", "CHECKS", "DOCS", "Check", "section"]

#: The page that has a section for each id.
DOCS: Final = "docs/audit.md"


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        id: "A001".
        title: what is wrong, a line.
        levels: which severities it has, and when.
        why: why it matters, a paragraph.
        example: a rule or setting that is found.
        fix: how it is closed, in words and with an example.
        shows: what a proof on the real kernel shows.
        run: makes the findings of a gateway.
    """

    id: str
    title: str
    levels: str
    why: str
    example: str
    fix: str
    shows: str
    run: Callable[[View], Iterable[Finding]]


CHECKS: Final = (
    Check(
        "A001",
        "RELATED is accepted for every helper",
        "high: an assigned helper lets anybody in; medium: the contacted server; low: nobody from outside "
        "today; info: no helper is assigned",
        "A packet is RELATED when it is an ICMP error or when a helper expected it. A rule that accepts "
        "RELATED without naming a helper lets "
        "in whatever any helper expects, also one that somebody assigns next year. Without helpers only ICMP "
        "errors are RELATED: then the rule is fine.",
        'ct state established,related accept          # and elsewhere: tcp dport 6667 ct helper set "irc"',
        'Accept RELATED by helper: `ct state related ct helper "ftp" …` or `-m conntrack --ctstate RELATED '
        "-m helper --helper ftp`, and ICMP's errors by a rule of their own.",
        "The stranger reaches the port that the helper expected; the trace names this rule. With the fix it "
        "is closed and FTP still works.",
        related.any_helper,
    ),
    Check(
        "A002",
        "RELATED is accepted in every direction, between all interfaces",
        "as A001",
        "A helper's expectation has one direction, a rule without interfaces and addresses has all. What an "
        "inside host announces, on purpose or "
        "tricked by a web page, is then open from the internet.",
        'ct state related ct helper "ftp" accept',
        'Say from where to where: `iifname "wan" oifname "lan" ct state related ct helper "ftp" …`, and the '
        "other direction by a rule of its own.",
        "The stranger's packet comes in by the outside interface and is accepted.",
        related.any_direction,
    ),
    Check(
        "A003",
        "RELATED is accepted at every destination port, also below 1024",
        "as A001; low where no helper that is assigned can name such a port",
        "Helpers take the port from the payload. Apart from sip none asks whether it is one of a service: a "
        "page that makes a browser send "
        "`PORT 10,0,0,5,0,22` opens SSH.",
        'iifname "wan" oifname "lan" ct state related ct helper "ftp" accept',
        "Ask for the port: `tcp dport 1024-65535`, `--dport 1024:65535`. Clients choose theirs above 1023.",
        "The stranger reaches a port below 1024; with the fix it is closed and a port above still works.",
        related.any_port,
    ),
    Check(
        "A004",
        "A helper is assigned to connections to any server",
        "medium where what it expects gets in; low otherwise",
        "The helper believes what the two ends say. If any server will do, an attacker's own server will: he "
        "says which port is opened, or lets a web page say it. netbios-ns and snmp read nothing but broadcasts of "
        "the gateway itself: of whatever it sends, hosts of the network outside may answer, too.",
        'tcp dport 21 ct helper set "ftp-std"',
        "Assign it for the servers that you use: `ip daddr @ftp_servers tcp dport 21 ct helper set "
        '"ftp-std"`, with ipset in iptables. Of broadcasts, for the networks inside: `oifname "lan" udp dport 137 ct '
        'helper set "names"`.',
        "A session with a server that is not on the list makes no expectation any more.",
        assigning.any_destination,
    ),
    Check(
        "A005",
        "A helper lets anybody use what it expects",
        "high where the rules let it in; info otherwise",
        "Most expectations have a source, the other end of the connection. Those of irc have none, nor have "
        "those of sip with sip_direct_media=0 or "
        "sip_direct_signalling=0, nor RAS with gkrouted_only=0: a third host's packet is RELATED.",
        'tcp dport 6667 ct helper set "irc-std"',
        "Do without irc's helper (DCC works with passive offers); leave the parameters at their defaults.",
        "A stranger that had no part in the session opens the announced port.",
        assigning.wildcard,
    ),
    Check(
        "A006",
        "A helper is assigned at a port to which a browser can be made to speak",
        "high where what it expects gets in; low otherwise; info where browsers of today refuse the port",
        "NAT slipstreaming: a web page makes the browser send a request whose body, cut at a segment's "
        "start, is a command of FTP, IRC, SIP or H.323. "
        "Browsers refuse the default ports since 2020 and 2021, but no others: a helper at port 2121, at a "
        "range or at all ports is open to it.",
        'tcp dport 2121 ct helper set "ftp-std"',
        "Assign the helper at the default port and for known servers only.",
        "An HTTP POST from inside makes the expectation; then the stranger knocks.",
        assigning.browser_ports,
    ),
    Check(
        "A007",
        "A helper's module is loaded and never assigned",
        "info",
        "It does nothing as long as no rule assigns it. It is code that parses packets of strangers, and one "
        "rule away from doing so.",
        "nf_conntrack_sip in /proc/modules, no rule with `ct helper set`",
        "Unload it: `modprobe -r nf_conntrack_sip`, and `blacklist` it.",
        "Nothing: there is nothing to knock at.",
        assigning.never_assigned,
    ),
    Check(
        "A008",
        "The kernel gives helpers to all connections by their port",
        "high where what they expect gets in; medium otherwise",
        "Kernels before 6.0 have `nf_conntrack_helper`. With 1 every connection to the port of a loaded "
        "helper gets it, from and to anywhere, though no rule says so.",
        "net.netfilter.nf_conntrack_helper = 1",
        "Set it to 0 and assign the helpers that you need by rules.",
        "Not shown on kernels from 6.0 on: they have no such setting.",
        assigning.by_port,
    ),
    Check(
        "A009",
        "IPv6 is routed without NAT, and helpers open it",
        "medium where anybody may come; low where the contacted server may and forwarding of IPv6 is on; "
        "info where it is not known whether it is on",
        "Behind NAT a helper is needed and a host is hidden. With IPv6 every host has an address of its own: "
        "an expectation opens it as it is.",
        'table inet fw { … tcp dport 21 ct helper set "ftp-std" }      # an object without `l3proto ip`',
        "Assign the helper for IPv4 alone (`l3proto ip`, or iptables without ip6tables), unless clients need it.",
        "The stranger reaches the inside host's own IPv6 address.",
        assigning.six_without_nat,
    ),
    Check(
        "A010",
        "No reverse-path check",
        "low",
        "Without it a packet from outside may carry an address of inside: it can begin connections in the "
        "name of a host inside, and send what a helper takes for its words.",
        "net.ipv4.conf.all.rp_filter = 0, net.ipv4.conf.wan.rp_filter = 0",
        "`sysctl -w net.ipv4.conf.wan.rp_filter=1`, or `fib saddr . iif oif missing drop`, or `-m rpfilter "
        "--invert -j DROP`.",
        "Nothing: the knocking is done with the stranger's own address.",
        settings.reverse_path,
    ),
    Check(
        "A011",
        "INVALID packets are accepted",
        "medium from outside; low from inside",
        "INVALID is what belongs to no connection and can begin none. From outside such packets probe hosts "
        "inside; from inside they leave without translation.",
        'iifname "lan" oifname "wan" accept            # and no `ct state invalid drop` before',
        "`ct state invalid drop` before rules that accept new connections.",
        "Nothing by itself.",
        settings.invalid_accepted,
    ),
    Check(
        "A012",
        "TCP connections are taken up in the middle",
        "info",
        "With nf_conntrack_tcp_loose=1, the default, a packet without SYN makes a new connection. That is "
        "wanted after a reboot, and lets scans with ACK pass as new.",
        "net.netfilter.nf_conntrack_tcp_loose = 1",
        "`sysctl -w net.netfilter.nf_conntrack_tcp_loose=0` where connections need not outlive a reboot.",
        "Nothing by itself.",
        settings.loose,
    ),
    Check(
        "A013",
        "TCP packets outside the window are accepted",
        "low",
        "With nf_conntrack_tcp_be_liberal=1 only RST is checked against the window: whoever guesses "
        "addresses and ports may put data into a connection, also a helper's command.",
        "net.netfilter.nf_conntrack_tcp_be_liberal = 1",
        "`sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=0`.",
        "Nothing by itself.",
        settings.liberal,
    ),
    Check(
        "A014",
        "The table is nearly full",
        "medium from 80 %; high from 95 %",
        "When it is full the kernel drops packets of new connections, of everybody. One host that opens many "
        "can bring that about.",
        "nf_conntrack_count 250000, nf_conntrack_max 262144",
        "Raise nf_conntrack_max (300 to 400 bytes an entry) and nf_conntrack_buckets, look who holds them: "
        "`conntap list --sort count`.",
        "Nothing by itself.",
        table.near_full,
    ),
    Check(
        "A015",
        "The hash is too small for the table",
        "low",
        "Each packet is looked up in a chain of max / buckets entries when the table is full.",
        "nf_conntrack_max 1048576, nf_conntrack_buckets 16384",
        "`sysctl -w net.netfilter.nf_conntrack_buckets=NUMBER`, as many as the maximum.",
        "Nothing by itself.",
        table.small_hash,
    ),
    Check(
        "A016",
        "A timeout is far from the default",
        "low",
        "Too short: connections that live are forgotten (RFC 5382 asks for 7,440 s of an idle TCP "
        "connection). Too long: dead ones fill the table.",
        "net.netfilter.nf_conntrack_udp_timeout_stream = 3600",
        "Set it back, or accept the finding in a baseline with its reason.",
        "Nothing by itself.",
        table.far_timeouts,
    ),
    Check(
        "A017",
        "Events or accounting are off while somebody listens",
        "medium: events; low: accounting",
        "A program is subscribed to conntrack's events, and the kernel makes none, or makes them without "
        "packets and bytes.",
        "net.netfilter.nf_conntrack_events = 0, and a socket in /proc/net/netlink with groups",
        "`sysctl -w net.netfilter.nf_conntrack_events=1 net.netfilter.nf_conntrack_acct=1`.",
        "Nothing by itself.",
        table.not_reported,
    ),
    Check(
        "A018",
        "Packets that are not tracked are accepted from outside",
        "medium",
        "`notrack` takes packets out of connection tracking; a rule that then accepts untracked packets lets "
        "strangers in, for there is no connection to ask for.",
        "udp dport 53 notrack … ct state untracked accept",
        "Limit both rules to the interface and the addresses that need them.",
        "The stranger's packet arrives though nobody inside spoke first.",
        tracking.untracked,
    ),
    Check(
        "A019",
        "Two networks share a zone",
        "low",
        "Zones keep connections of networks with the same addresses apart. Interfaces that share one take "
        "each other's packets for their own connections.",
        'iifname "lan1" ct zone set 1 … iifname "lan2" ct zone set 1',
        "Give each its own zone, or accept the finding where their addresses differ.",
        "Nothing by itself.",
        tracking.colliding_zones,
    ),
    Check(
        "A020",
        "Cannot tell",
        "low; the exit status is 3 where nothing worse was found",
        "A rule that matters has something that is not understood, depends on a set that changes, or part of "
        "the rule set is missing. Then conntap says so instead of guessing.",
        "a match of a module that is not known; half of a listing",
        "Give the whole rule set, as root. Where a match is unknown, look at the rule yourself; `--prove` "
        "tries it on the kernel.",
        "The proof decides: it loads the rules and knocks.",
        tracking.not_understood,
    ),
    Check(
        "A021",
        "RELATED is accepted to the gateway itself for every helper",
        "high: a helper of the gateway's own connections lets anybody in; medium: it lets in the contacted "
        "server; low: helpers are for others' connections only",
        "Services of the gateway listen behind this rule. If a connection of the gateway itself gets a "
        "helper, what it announces is open on the gateway. Of netbios-ns and snmp that is the port of the program "
        "that asked, to any host of the network that was asked.",
        "chain input { … ct state established,related accept }",
        "`ct state established accept`, and RELATED for ICMP and for helpers of the gateway's own connections alone.",
        "The stranger reaches a port of the gateway; a neighbour outside answers a broadcast of it. With the fix "
        "hosts inside alone do.",
        related.to_gateway,
    ),
    Check(
        "A022",
        "A module parameter loosens a helper",
        "medium: it is assigned, and third hosts may come or be named; low: it is assigned; info: it is not",
        "ftp's loose=1 lets a server name a third host, sip's and h323's parameters let anybody call. They "
        "are set once and forgotten.",
        "nf_conntrack_sip.sip_direct_media = 0",
        "Leave it at its default; the finding has the line for /etc/modprobe.d.",
        "With irc and sip the stranger gets in; with ftp the expectation names the third host.",
        assigning.loosened,
    ),
    Check(
        "A023",
        "A helper reads connections that strangers begin",
        "medium; low where it is for known servers of yours and only the client can use what it expects",
        "A helper before your own server reads what strangers send it. They choose what the server echoes, "
        "and so what opens.",
        'tcp dport 21 ct helper set "ftp-std"          # and port 21 is open from outside',
        'Assign it to connections from inside alone (`iifname "lan"`), or give your FTP server a fixed range '
        "of passive ports without a helper.",
        "The stranger's own session makes the expectation.",
        assigning.from_outside,
    ),
    Check(
        "A024",
        "A helper is not known",
        "medium",
        "It is none of the kernel's: of a module from elsewhere, or of a program in userspace. What it "
        "expects cannot be told.",
        'ct helper set "mygame"',
        "Look at where it comes from; do without it if nobody knows.",
        "Nothing: no session of it is known.",
        assigning.unknown_helper,
    ),
)

BY_ID: Final = {check.id: check for check in CHECKS}


def section(check: Check) -> str:
    """The section of docs/audit.md on a check, and what `conntap audit explain` prints."""
    example = "\n".join(f"    {line}" for line in check.example.splitlines())
    return (
        f"### {check.id}: {check.title}\n\n"
        f"**Severity.** {check.levels}.\n\n"
        f"{check.why}\n\n"
        f"{example}\n\n"
        f"**Fix.** {check.fix}\n\n"
        f"**Proof.** {check.shows}\n"
    )
