"""The text for people."""

import pytest

from conntap.audit.baseline import Accepted, compare
from conntap.audit.report import report
from conntap.audit.run import audit
from conntap.gateway.state import Gateway
from gateways import gateway


def lines(name="router", accepted=(), **options):
    audited = audit(gateway(name))
    return list(report(audited, compare(audited.findings, list(accepted)), **options))


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_only_commands_are_wider_than_the_terminal(width):
    wide = [line for line in lines(width=width, fix="none") if len(line) > min(width, 100)]
    assert not [line for line in wide if " " in line.strip()]


def test_a_fix_is_told_once():
    text = lines()
    assert sum("fix:   replace rule inet fw4 forward handle 20" in line for line in text) == 1
    assert sum("fix:   as A001" in line for line in text) == 2


def test_the_rule_decides_which_fix_is_shown_unless_told():
    assert not any("iptables" in line for line in lines())
    assert any("iptables -A FORWARD" in line for line in lines(fix="iptables"))
    both = lines(fix="both")
    assert any("iptables -A FORWARD" in line for line in both)
    assert any("replace rule" in line for line in both)


def test_the_last_line_counts():
    assert lines()[-1] == " 4 high, 3 medium, 3 low, 3 info"
    assert lines("good")[-1] == " nothing found"
    assert lines("irc", [Accepted("A005", "irc", "bot")])[-1] == " nothing found; 1 accepted by the baseline"


def test_stale_entries_are_told():
    assert any(line.startswith(" stale   A013 x is in the baseline") for line in lines("good", [Accepted("A013", "x")]))


def test_colour_repeats_what_the_text_says():
    assert "\x1b[31mhigh" in lines(color=True)[0]
    assert "\x1b" not in "".join(lines())


def test_where_no_rule_shows_it_the_fix_is_of_the_gateways_program():
    filter_ = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"
    nat = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n"
    audited = audit(Gateway({"iptables-save": filter_ + nat}))
    shown = "\n".join(report(audited, compare(audited.findings, [])))
    assert "found: policy of chain FORWARD" in shown
    assert "fix:   iptables -I FORWARD 1 -m conntrack --ctstate INVALID -j DROP" in shown
    assert "insert rule" not in shown
