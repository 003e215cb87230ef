"""Every check on a gateway, worst first."""

import pytest

from conntap.audit.run import audit
from conntap.gateway.state import Gateway
from gateways import gateway


def test_worst_first():
    levels = [one.severity for one in audit(gateway("router")).findings]
    assert levels == sorted(levels, reverse=True)


def test_only_and_skip():
    assert {one.id for one in audit(gateway("router"), only={"A001", "A002"}, skip={"A002"}).findings} == {"A001"}


def test_what_was_not_had_is_told():
    audited = audit(Gateway({"sysctl": ""}, {"nft.json": "not installed"}))
    assert audited.unsaid == ("nft.json: not installed",)


@pytest.mark.parametrize("name", ["good", "behind"])
def test_nothing_is_found_where_nothing_is(name):
    audited = audit(gateway(name))
    assert not audited.findings
    assert audited.worst() is None
    assert not audited.cannot_tell
