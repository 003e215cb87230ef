"""What is known of the kernel's helpers."""

import pytest

from conntap.audit.known import BROWSERS_REFUSE, HELPERS, module_of
from conntap.gateway.state import Gateway


def test_default_ports_are_refused_by_browsers():
    assert {one.port for one in HELPERS.values() if one.text} <= BROWSERS_REFUSE


@pytest.mark.parametrize(
    ("name", "parameters", "wild"),
    [
        ("irc", "", True),
        ("ftp", "nf_conntrack_ftp.loose = Y\n", False),
        ("sip", "", False),
        ("sip", "nf_conntrack_sip.sip_direct_media = 1\n", False),
        ("sip", "nf_conntrack_sip.sip_direct_media = 0\n", True),
        ("sip", "nf_conntrack_sip.sip_direct_signalling = N\n", True),
        ("RAS", "nf_conntrack_h323.gkrouted_only = 0\n", True),
    ],
)
def test_whom_anybody_may_use(name, parameters, wild):
    assert bool(HELPERS[name].wild(Gateway({"parameters": parameters}))) is wild


def test_modules():
    assert [module_of(name) for name in ("netbios-ns", "Q.931", "mygame")] == [
        "nf_conntrack_netbios_ns",
        "nf_conntrack_h323",
        "nf_conntrack_mygame",
    ]


def test_sip_expects_calls_by_the_transport_of_its_master():
    sip = HELPERS["sip"]
    calls = {l4proto: {one.l4proto for one in sip.inward(l4proto) if one.what == "call"} for l4proto in (0, 6, 17)}
    assert calls == {0: {6, 17}, 6: {6}, 17: {17}}
    assert all({one.l4proto for one in sip.inward(l4proto) if one.what == "media"} == {17} for l4proto in (6, 17))
