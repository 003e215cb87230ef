"""nft and iptables side by side."""

from dataclasses import replace

from conntap.gateway.rulesets import read_rules, without_doubles
from conntap.rules.model import Chain, Place, Rule, RuleSet
from gateways import rules


def ruleset(source, table, count, family="ip"):
    place = Place(source, family, table, "FORWARD")
    chain = Chain(place, "forward", "filter", 0, "accept", tuple(Rule(place) for _ in range(count)))
    empty = Chain(replace(place, chain="INPUT"), "input", "filter")
    keys = {(one.place.source, family, table, one.place.chain): one for one in (chain, empty)}
    return RuleSet(keys)


def test_a_table_of_both_listings_is_taken_from_iptables():
    assert not without_doubles(ruleset("nft", "filter", 2), ruleset("iptables", "filter", 2)).chains


def test_another_number_of_rules_is_another_table():
    nft = ruleset("nft", "filter", 3)
    assert without_doubles(nft, ruleset("iptables", "filter", 2)) is nft


def test_other_names_and_families_stay():
    for nft in (ruleset("nft", "mine", 2), ruleset("nft", "filter", 2, family="inet")):
        assert without_doubles(nft, ruleset("iptables", "filter", 2)) is nft


def test_why_rules_are_missing_is_a_fault_unless_the_program_is_not_installed():
    texts = {"nft.json": rules("good")}
    assert not read_rules(texts, {"iptables-save": "not installed: 'iptables-save'"}).faults
    assert read_rules(texts, {"iptables-save": "it needs CAP_NET_ADMIN"}).faults == (
        "iptables-save: it needs CAP_NET_ADMIN",
    )
