"""Which setting gives a connection its time, and what ends it."""

from __future__ import annotations

import pytest

from conntap.explain.live_times import seconds, setting_of, what_ends


@pytest.mark.parametrize(
    ("l4proto", "state", "assured", "name"),
    [
        (6, "ESTABLISHED", True, "tcp_timeout_established"),
        (6, "TIME_WAIT", True, "tcp_timeout_time_wait"),
        (6, "SYN_SENT2", False, "tcp_timeout_syn_sent"),
        (17, None, False, "udp_timeout"),
        (17, None, True, "udp_timeout_stream"),
        (1, None, False, "icmp_timeout"),
        (58, None, False, "icmpv6_timeout"),
        (47, None, True, "gre_timeout_stream"),
        (132, "COOKIE_WAIT", False, "sctp_timeout_cookie_wait"),
        (99, None, False, "generic_timeout"),
    ],
)
def test_the_setting(l4proto: int, state: str | None, assured: bool, name: str) -> None:
    assert setting_of(l4proto, state, assured=assured) == name


def test_what_ends_it() -> None:
    def ends(l4proto: int, state: str | None, *, assured: bool = True, fixed: bool = False, nat: bool = False) -> str:
        return "; ".join(what_ends(l4proto, state, assured=assured, fixed=fixed, source_nat=nat))

    assert ends(6, "ESTABLISHED").startswith("a RST, or FIN")
    assert "a new SYN with the same ports" in ends(6, "TIME_WAIT")
    assert ends(17, None).startswith("silence")
    assert "a full table" in ends(17, None, assured=False)
    assert "a full table" not in ends(17, None)
    assert "fixed timeout" in ends(6, "ESTABLISHED", fixed=True)
    assert ("masqueraded" in ends(17, None, nat=True), "masqueraded" in ends(17, None)) == (True, False)


@pytest.mark.parametrize(("value", "said"), [(0, "0 s"), (299, "4 min 59 s"), (431_999, "4 d 23 h"), (3_600, "1 h")])
def test_seconds(value: int, said: str) -> None:
    assert seconds(value) == said
