"""The corpus on the real kernel: what each file says is open, what the audit says, and what the kernel does."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from conntap.audit.known import HELPERS
from conntap.audit.run import audit
from conntap.audit.sides import find_sides
from conntap.gateway.state import Gateway
from conntap.lab.prove import prove
from conntap.lab.prove.agree import agree, reaches
from conntap.lab.prove.model import OWN

CORPUS = Path(__file__).resolve().parents[2] / "data/rulesets"
SETS = sorted(path.parent for path in CORPUS.glob("*/expected.toml"))
TEXTS = {"nft.json": "rules.nft.json"} | {
    name: name for name in ("iptables-save", "ip6tables-save", "sysctl", "parameters", "uname", "modules")
}
#: Rule sets that no lab can have, and what is said of them.
REFUSED = {
    "carrier-nat-zones": "unqualified type integer",  # nft 1.0.6 lists maps that it does not read again
    "iptables-half": "COMMIT expected",
    "nft-listing-cut": "they are no JSON",
    "iptables-ipset-servers": "Set ftp_servers doesn't exist",
}
PORTS = (22, 1023, 1024, 45678)


def spans(texts):
    found = []
    for text in texts:
        first, _, last = str(text).partition("-")
        found.append((int(first), int(last or first)))
    return found


def ports_of(expected):
    """Those of everybody, and both sides of every border that the rule set's file names."""
    found = set(PORTS)
    for name in ("open", "open_any"):
        for texts in expected.get(name, {}).values():
            found |= {port for first, last in spans(texts) for port in (first - 1, first, last, last + 1)}
    return sorted(port for port in found if 0 < port < 65536)


@pytest.mark.parametrize("folder", SETS, ids=lambda path: path.name)
def test_the_kernel_does_what_is_said(folder, need):
    expected = tomllib.loads((folder / "expected.toml").read_text())
    gateway = Gateway({name: (folder / file).read_text() for name, file in TEXTS.items() if (folder / file).exists()})
    if any("tables" in name for name in gateway.texts):
        need("iptables-nft-restore")
    net = expected.get("inside_net", ())
    sides = find_sides(
        gateway,
        inside=expected["inside"],
        outside=expected["outside"],
        inside_net=(net,) if isinstance(net, str) else net,
    )
    proof = prove(gateway, sides, ports=ports_of(expected))
    if folder.name in REFUSED:
        assert REFUSED[folder.name] in proof.refused
        assert proof.rows == ()
        return
    assert proof.refused == ""
    if expected.get("unsure"):
        return  # nothing is claimed
    for row in proof.rows:
        if row.way.inside == OWN:
            continue  # the file speaks of inside hosts
        if any(text.startswith(f"nf_conntrack_{HELPERS[row.helper].module}.") for text in proof.cannot):
            continue  # decided by a parameter that belongs to the machine
        for who, name in (("server", "open"), ("third", "open_any")):
            said = spans(expected.get(name, {}).get(row.helper, ()))
            for cell in row.cells:
                if cell.kind == "lured" and cell.who == who and cell.outcome == "open":
                    assert any(first <= cell.port <= last for first, last in said), f"{name}: {cell}"
    audited = audit(gateway, sides)
    assert [str(one) for one in agree(reaches(audited.findings), proof)] == []
    reached = {(row.helper, cell.who) for row, cell in proof.open}
    for helper in expected.get("open_any", {}):
        if not any(text.startswith(f"nf_conntrack_{HELPERS[helper].module}.") for text in proof.cannot):
            assert (helper, "third") in reached
