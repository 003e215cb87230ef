"""Small texts of a gateway."""

from conntap.gateway import parse
from conntap.gateway.parse import Listener, Route


def test_settings_in_both_notations():
    text = "# note\nnet.ipv4.ip_forward = 1\nnet/ipv4/conf/eth0.5/rp_filter = 2\n-net.a.b=3\nbroken\n"
    assert parse.assignments(text) == {
        "net.ipv4.ip_forward": "1",
        "net.ipv4.conf.eth0/5.rp_filter": "2",
        "net.a.b": "3",
    }


def test_the_last_line_of_a_name_holds():
    assert parse.assignments("a.b = 1\na.b = 2\n") == {"a.b": "2"}


def test_modules_of_proc_and_of_lsmod():
    assert parse.modules("nf-nat 16384 0 - Live 0x0\nnf_conntrack_ftp 1 0\n") == {"nf_nat", "nf_conntrack_ftp"}
    assert parse.modules("Module  Size  Used by\nnf_nat 1 0\n") == {"nf_nat"}


def test_addresses_without_lo():
    text = (
        '[{"ifname":"lo","addr_info":[{"local":"127.0.0.1","prefixlen":8}]},'
        '{"ifname":"lan","flags":["UP"],"addr_info":[{"local":"10.0.0.1","prefixlen":24}, {}]},{"x":1}]'
    )
    assert parse.addresses(text) == (("lan", ("10.0.0.1/24",), True),)


def test_routes_of_one_and_of_several_hops():
    text = (
        '[{"dst":"default","gateway":"203.0.113.1","dev":"wan"},{"type":"local","dst":"10.0.0.1","dev":"lan"},'
        '{"dst":"default","nexthops":[{"dev":"a"},{"dev":"b"}],"table":"7"},{"dst":"2001:db8::/64","dev":"lan"}]'
    )
    assert parse.routes(text, 4) == (
        Route("default", "wan"),
        Route("default", "a", "7"),
        Route("default", "b", "7"),
        Route("2001:db8::/64", "lan", "main", 6),
    )


def test_what_is_no_json_gives_nothing():
    for text in ("", "{", "[1, null]", '{"dst": 1}', "[" * 100_000):
        assert parse.addresses(text) == ()
        assert parse.routes(text, 4) == ()


def test_listeners_are_subscribed_netfilter_sockets():
    text = (
        "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n"
        "0 12 812 00000007 0 0 0 2 41022 1\n0 12 813 00000000 0 0 0 2 0 1\n0 0 1 00000001 0 0 0 2 0 1\n0 12 x 7 0\n"
        "0 12 814 00000040 0 0 0 2 0 1\n"
    )
    assert parse.listeners(text) == (Listener(812, 7, 0, 41022, 1),)


def test_kernel_of_a_release_and_of_uname():
    assert parse.kernel("6.18.44-amd64") == (6, 18)
    assert parse.kernel("Linux gw 5.4-rc1 #1 SMP") == (5, 4)
    assert parse.kernel("unknown") is None
