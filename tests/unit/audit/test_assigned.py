"""Which connections get which helper."""

from conntap.audit.assigned import assignments_of
from conntap.rules.model import Span
from gateways import gateway


def test_by_a_rule_with_all_that_it_asks():
    (one,) = assignments_of(gateway("good"))
    assert (one.helper, one.l4proto, one.ports, one.servers, one.iifs) == ("ftp", 6, (Span(21, 21),), True, ("lan",))
    assert one.fits("lan", 4)
    assert not one.fits("wan", 4)
    assert not one.fits("lan", 6)


def test_conditions_of_the_jump_count():
    found = assignments_of(gateway("router"))
    assert {one.helper for one in found} == {"amanda", "ftp", "irc", "sip"}
    assert all(one.iifs == ("br-lan",) and not one.servers for one in found)


def test_by_the_kernel_where_it_is_old_and_told_to():
    old = {"uname": "5.10.0", "sysctl": "net.netfilter.nf_conntrack_helper = 1\n", "modules": "nf_conntrack_sip 1 0\n"}
    found = assignments_of(gateway("no-helper", **old))
    assert [(one.helper, one.l4proto, one.rule) for one in found] == [("sip", 17, None), ("sip", 6, None)]
    assert not assignments_of(gateway("no-helper", **(old | {"uname": "6.18.0"})))
