"""Rule sets of iptables, translated to nft by iptables' own program and loaded: both readings give the same answers."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from conntap.lab import kernel
from conntap.rules.follow import follow
from conntap.rules.iptables import read_iptables
from conntap.rules.nft import read_nft
from conntap.rules.packet import Asked

CORPUS = Path(__file__).resolve().parent.parent / "data/rulesets"
#: Why there is no translation to compare with.
NOT_TRANSLATED = {
    "iptables-half": "it is half of one",
    "iptables-ipset-servers": "matches of ipset are left out",
    "iptables-unknown-match": "programs of BPF are left out",
    "firewalld-iptables-dnat-state": "`--ctstate RELATED,DNAT` is translated with `and`; the kernel takes `or`",
    "iptables-queue": "it needs a module of nft that not every kernel has",
}
TABLES = sorted(path for path in CORPUS.glob("*/ip*tables-save") if path.parent.name not in NOT_TRANSLATED)
WAYS = [
    ("eth0", "eth1"),
    ("wan", "lan"),
    ("br-lan", "eth1"),
    ("virbr0", "eth0"),
    ("eth0", "docker0"),
    ("voice", "dsl0"),
]
WAYS += [(oif, iif) for iif, oif in WAYS]
CONNECTIONS = [
    ("new", ""),
    ("related", "ftp"),
    ("related", "irc"),
    ("related", "sip"),
    ("invalid", ""),
    ("established", ""),
]
LOAD = 'iptables=$1; $iptables-restore-translate -f "$2" > "$2.nft" && nft -f "$2.nft" && nft -j list ruleset'


def with_plain_names(text: str) -> str:
    """Chains called after a word of nft's own language could not be loaded."""
    for at, name in enumerate(dict.fromkeys(re.findall(r"^:(\S+) - ", text, re.MULTILINE))):
        text = re.sub(rf"(^:|-A |-j |-g ){re.escape(name)}(?=\s|$)", rf"\g<1>chain{at}", text, flags=re.MULTILINE)
    return text


@pytest.mark.parametrize("path", TABLES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_both_readings_give_the_same_answers(path, need, tmp_path):
    need("iptables-restore-translate")
    if not kernel.has_sys_admin():
        pytest.skip("the kernel refuses a user namespace, or this is not `make test`")
    nfproto, program = (6, "ip6tables") if path.name.startswith("ip6") else (4, "iptables")
    text = tmp_path / "save"
    text.write_text(with_plain_names(path.read_text()))
    command = [sys.executable, "-m", "conntap.lab.sandbox", "--", "sh", "-c", LOAD, "load", program, str(text)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    mine, translated = read_iptables(text.read_text(), nfproto), read_nft(done.stdout)
    assert mine.faults == translated.faults == ()
    for hook, (iif, oif), (state, helper), l4proto, status in product(
        ("forward", "input"), WAYS, CONNECTIONS, (6, 17), (frozenset[str](), frozenset({"dnat"}))
    ):
        asked = Asked(
            hook, nfproto, iif, oif if hook == "forward" else None, 0x0A000005, 0x0A000001, l4proto, 5000,
            ct_state=state, ct_helper=helper, ct_status=status,
        )  # fmt: skip
        one, other = follow(mine, asked), follow(translated, asked)
        assert (one.accepted, one.dropped) == (other.accepted, other.dropped), asked
