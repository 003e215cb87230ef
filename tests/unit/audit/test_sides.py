"""Inside and outside."""

import json

import pytest

from conntap.audit.sides import SOMEBODY, find_sides
from conntap.gateway.state import Gateway
from gateways import gateway


def addresses(**networks):
    return json.dumps(
        [
            {
                "ifname": name,
                "flags": ["UP"],
                "addr_info": [{"local": text.partition("/")[0], "prefixlen": int(text.partition("/")[2])}],
            }
            for name, text in networks.items()
        ]
    )


DEFAULT = '[{"dst":"default","dev":"e1"}]'


@pytest.mark.parametrize(
    ("texts", "inside", "outside", "why"),
    [
        (
            {"routes.json": DEFAULT, "addresses.json": addresses(e0="10.0.0.1/24", e1="10.9.0.2/24")},
            ("e0",),
            ("e1",),
            "the default route",
        ),
        ({"addresses.json": addresses(e0="10.0.0.1/24", e1="8.8.4.4/24")}, ("e0",), ("e1",), "it has a public address"),
        ({}, ("inside0",), ("outside0",), "no interface is known, one that no rule names is taken"),
    ],
)  # fmt: skip
def test_how_it_is_guessed(texts, inside, outside, why):
    sides = find_sides(Gateway(texts))
    assert (sides.inside, sides.outside) == (inside, outside)
    assert sides.how[0] == f"outside is {outside[0]}: {why}"


def test_rules_tell_by_translation_and_names():
    sides = find_sides(gateway("router"))
    assert (sides.inside, sides.outside) == (("br-lan",), ("wan",))
    assert sides.how == ("outside is wan: source addresses are translated there", "inside is br-lan: its name")


def test_what_is_told_holds():
    sides = find_sides(gateway("router"), inside=["a"], outside=["b"], inside_net=["10.1.0.0/16"])
    assert (sides.inside, sides.outside) == (("a",), ("b",))
    assert sides.network("a", 4) == "10.1.0.0/16"


def test_a_network_of_which_translation_speaks_is_inside():
    sides = find_sides(gateway("irc"))
    assert sides.network("lan", 4) == "192.168.1.0/24"
    assert sides.host("lan", 4) == (192 << 24) + (168 << 16) + (1 << 8) + 8
    assert sides.host("lan", 6) == SOMEBODY[6]
