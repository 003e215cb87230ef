"""`conntap guard` without a gateway: policies, explanations, rules in words, wrong usage."""

from __future__ import annotations

import json

import pytest

from golden.cli.stage import play

LINE = (
    "300 proto=6 src=0.0.0.0 dst=10.0.1.2 sport=0 dport=5001 mask-src=0.0.0.0 mask-dst=255.255.255.255 sport=0 "
    "dport=65535 master-src=10.0.1.2 master-dst=10.0.2.2 sport=41000 dport=6667 class=0 helper=irc"
)


def said(*words):
    played = play(["guard", *words])
    return played.status, played.out, played.err


def test_explain_tells_the_line_that_decides(tmp_path):
    status, out, _ = said("--explain", LINE)
    assert status == 1
    assert out == (
        "not allowed: anyone may connect to 10.0.1.2: its source is a wildcard (built-in default sources)\n"
        "  irc: anyone -> 10.0.1.2:5001 tcp, announced by 10.0.1.2:41000 -> 10.0.2.2:6667\n"
    )
    policy = tmp_path / "guard.toml"
    policy.write_text('[[helper]]\nname = "irc"\nsources = ["any"]\n')
    status, out, _ = said("--policy", str(policy), "--explain", LINE, "--json")
    assert status == 0
    assert json.loads(out)["rule"] == "guard.toml:1 section of irc"


def test_check_names_every_fault(tmp_path):
    policy = tmp_path / "guard.toml"
    policy.write_text('[default]\nports = ["80-22"]\nfoo = 1\n')
    status, out, err = said("--policy", str(policy), "--check")
    assert (status, out) == (2, "")
    assert "guard.toml:2: default.ports" in err
    assert "guard.toml:3: default.foo" in err


def test_the_example_is_a_policy(tmp_path):
    _, out, _ = said("--example")
    (tmp_path / "guard.toml").write_text(out)
    status, _, err = said("--policy", str(tmp_path / "guard.toml"), "--check")
    assert status == 0
    assert "nothing is wrong with it" in err


def test_the_rules_in_words():
    status, out, _ = said("--hold", "--print")
    assert status == 0
    assert out.startswith("table inet conntap_guard {\n")
    assert out.count("counter drop") == 4


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--print"], "--print goes with --hold"),
        (["--policy", "/no/such"], "No such file"),
        (["--explain", "hello"], "has no"),
        (["--summary", "/no/such/file"], "--summary /no/such/file: No such file"),
        (["--metrics", "/no/such/file"], "--metrics /no/such/file: No such file"),
        (["--netns", "nowhere"], "network namespace 'nowhere'"),
    ],
)
def test_wrong_usage(words, error):
    status, _, err = said(*words)
    assert status in (1, 2)
    assert error in err
