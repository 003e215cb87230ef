"""What the gateway is told: its nftables rules and its conntrack settings."""

from __future__ import annotations

from typing import Final

__all__ = ["FORWARDING", "GATEWAY_RULES", "QUIET_IPV6", "SHORT_TIMEOUTS", "TRACKING"]

# Helpers are assigned by rule, the only way that kernels since 6.0 know, and RELATED is accepted only for the helper
# and the direction that need it: an expectation is a door, and the forward chain decides who may walk through.
GATEWAY_RULES: Final = """\
table inet lab {
    ct helper ftp  { type "ftp"  protocol tcp; }
    ct helper tftp { type "tftp" protocol udp; }

    chain helpers {
        type filter hook prerouting priority filter; policy accept;
        iifname "inside" tcp dport 21 ct helper set "ftp"
        iifname "inside" udp dport 69 ct helper set "tftp"
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established accept
        ct state related ct helper { "ftp", "tftp" } counter name related_by_helper accept
        ct state related meta l4proto { icmp, icmpv6 } accept
        iifname "inside" oifname "outside" ct state new accept
        iifname "outside" ct status dnat ct state new accept
    }
    counter related_by_helper { }

    chain port_forward {
        type nat hook prerouting priority dstnat; policy accept;
        iifname "outside" ip  daddr 203.0.113.1   tcp dport 8080 dnat ip  to 10.0.0.5:80
        iifname "outside" ip6 daddr 2001:db8:2::1 tcp dport 8080 dnat ip6 to [2001:db8:1::5]:80
    }
    chain source_nat {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "outside" masquerade
    }
}
"""

FORWARDING: Final = {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1}

# Events for every entry (2, the default, gives them only to those born while somebody listens), bytes and times.
TRACKING: Final = {
    "netfilter/nf_conntrack_events": 1,
    "netfilter/nf_conntrack_acct": 1,
    "netfilter/nf_conntrack_timestamp": 1,
}

# A connection that ended is forgotten after a second, so that its DESTROY can be seen. Live TCP keeps its five days.
SHORT_TIMEOUTS: Final = {
    f"netfilter/nf_conntrack_{name}": 1
    for name in (
        "tcp_timeout_close",
        "tcp_timeout_close_wait",
        "tcp_timeout_fin_wait",
        "tcp_timeout_last_ack",
        "tcp_timeout_time_wait",
        "udp_timeout",
        "udp_timeout_stream",
        "icmp_timeout",
        "icmpv6_timeout",
        "gre_timeout",
        "gre_timeout_stream",
        "sctp_timeout_closed",
        "sctp_timeout_shutdown_ack_sent",
        "sctp_timeout_shutdown_recd",
        "sctp_timeout_shutdown_sent",
    )
}

# No duplicate address detection: an address can be used at once.
QUIET_IPV6: Final = {"ipv6/conf/all/accept_dad": 0, "ipv6/conf/default/accept_dad": 0}
