"""Random filters: every word of the language with values that the rows of the test have."""

from __future__ import annotations

from itertools import product

from hypothesis import strategies as st

V4 = ("10.0.0.1", "10.0.0.2", "10.9.0.1", "192.0.2.10")
V6 = ("2001:db8::1", "2001:db8:1::1", "fd00::99")
PORTS = (22, 53, 80, 443, 1024, 40000)
MARKS = (0, 1, 0x10, 0x1F, 0xFF00, 0xDEADBEEF)
ZONES = (0, 1, 7)

NETS = ("10.0.0.0/8", "10.0.0.0/30", "2001:db8::/32", "192.0.2.0/255.255.0.255", "203.0.113.9", "::/0", "0.0.0.0/0")
ENDS = ("src", "dst", "reply src", "reply_dst", "host", "orig host")
SIGNS = ("", "=", "!=", "<", "<=", ">", ">=")
# Ports belong to two sides of two tuples each: `!=` of them is refused.
PORT_SIGNS = tuple(sign for sign in SIGNS if sign != "!=")

WORDS = [
    "ip", "ip6", "tcp", "udp", "udplite", "sctp", "dccp", "gre", "icmp", "icmp6", "flow", "expectation", "helper",
    "master", "assured", "replied", "unreplied", "seen_reply", "related", "confirmed", "dying", "fixed_timeout",
    "offload", "template", "seq_adj", "src_nat", "dst_nat", "src_nat_done", "dst_nat_done", "snat", "dnat", "nat",
]  # fmt: skip
PRODUCTS = (
    (ENDS, (*V4, *V6, *NETS)),
    (("sport", "dport", "port", "reply sport"), PORT_SIGNS, ("53", "80")),
    (("mark",), SIGNS, tuple(map(hex, MARKS))),
    (("zone", "orig_zone", "reply zone"), SIGNS, tuple(map(str, ZONES))),
    (("proto",), SIGNS, ("6", "47", "253")),
    (("timeout",), ("<", "<=", ">", ">="), ("5000", "15000", "25000")),
    (("state",), ("established", "syn_sent", "time_wait", "cookie_wait", "syn_sent2", "none", "3,4")),
    (("status",), ("0x4/0x6", "0x2/0x2", "0/0x4", "0x18e", "0xe/0xe", "assured")),
    (("label",), ("0", "3", "127", "0,3", "5")),
)
SINGLE = (
    "dport 53,80,1000-2000", "port 22-80", "srckey 443", "dstkey 22", "src port 53", "reply port 40000",
    "mark 0x10/0xf0", "mark 0/1", "mark 1,16,31", "mark 1-0x20", "zone 0,7", "zone 1-7",
    "proto 6,17", "proto 1-58", "l4proto esp", "timeout 5000-15000",
    "tcp_state 3", "sctp_state established", "dccp_state open",
    "icmptype 8", "icmp type 128", "icmpcode 0", "icmpid 3", "icmpid < 5", "type != 8",
    "helper ftp", "helper sip,ftp", "snat to 10.0.0.2", "dnat to 10.0.0.0/8", "nat to 192.0.2.10:80",
    "nat to [2001:db8::1]:443", "packets 0", "bytes < 10", "orig_bytes >= 0", "reply packets > 5",
    "orig_vtag 1", "reply_vtag != 3", "start_ns > 0", "stop_ns > 0", "event_ns > 0",
    "class 0", "flags 0", "portid 0", "from kernel", "secmark 0",
)  # fmt: skip
#: Tests of one field each, for rows of tables.
LEAVES = [*WORDS, *SINGLE, *(" ".join(filter(None, words)) for parts in PRODUCTS for words in product(*parts))]
#: Those that only events know, often enough to be met.
EVENT_LEAVES = 4 * [
    "new", "update", "destroy", "new, destroy", "new, update", "exp_new", "from userspace",
    "from kernel", "portid != 0",
]  # fmt: skip


def expressions(leaves: list[str]) -> st.SearchStrategy[str]:
    """Filter texts made of *leaves*."""

    def join(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        bracketed = inner.map("({})".format)
        return st.one_of(
            st.builds("{} and {}".format, bracketed, bracketed),
            st.builds("{} {}".format, bracketed, bracketed),
            st.builds("{} or {}".format, bracketed, bracketed),
            st.builds("{}, {}".format, bracketed, bracketed),
            bracketed.map("not {}".format),
        )

    leaf = st.sampled_from(leaves)
    # A conjunction of plain tests is what a dump request can hold: ask for many of those.
    conjunction = st.lists(st.one_of(leaf, leaf.map("not {}".format)), min_size=1, max_size=5).map(" and ".join)
    return st.one_of(conjunction, st.recursive(leaf, join, max_leaves=8))
