"""What is read out of a gateway's texts."""

from conntap.gateway.state import Gateway, Interface


def test_nothing_is_known_of_nothing():
    empty = Gateway()
    assert empty.sysctl("net.ipv4.ip_forward") is None
    assert empty.number("net.ipv4.ip_forward") is None
    assert empty.interfaces == empty.routes == empty.listeners == empty.default_interfaces == ()
    assert empty.kernel is None
    assert not empty.rules.chains
    assert not empty.rulesets


def test_texts_are_read_when_asked():
    gateway = Gateway(
        {
            "sysctl": "net.netfilter.nf_conntrack_max = 262144\nnet.x.y = many\nkernel.osrelease = 5.10.0\n",
            "parameters": "nf_conntrack_ftp.loose = N\n",
            "modules": "nf_nat 1 0\n",
            "addresses.json": '[{"ifname":"wan","flags":[],"addr_info":[]}]',
            "routes.json": '[{"dst":"default","dev":"wan"}]',
        }
    )
    assert gateway.number("net.netfilter.nf_conntrack_max") == 262_144
    assert gateway.number("net.x.y") is None
    assert gateway.parameter("nf_conntrack_ftp", "loose") == "N"
    assert gateway.modules == {"nf_nat"}
    assert gateway.interfaces == (Interface("wan", (), up=False),)
    assert gateway.default_interfaces == ("wan",)
    assert gateway.kernel == (5, 10)
