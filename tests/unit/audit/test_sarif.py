"""SARIF 2.1.0: what its schema asks for, of every result."""

import json

import pytest

from conntap.audit.baseline import Accepted, compare
from conntap.audit.registry import CHECKS
from conntap.audit.run import audit
from conntap.audit.sarif import as_sarif
from gateways import gateway


def log_of(name="router", accepted=(), **files):
    audited = audit(gateway(name, sysctl="net.netfilter.nf_conntrack_tcp_loose = 1\n"))
    return json.loads(json.dumps(as_sarif(compare(audited.findings, list(accepted)), "1.0", files)))


def test_the_log_and_its_tool():
    log = log_of()
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"]
    assert [rule["id"] for rule in driver["rules"]] == [check.id for check in CHECKS]
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in driver["rules"])


def test_every_result_has_what_the_schema_and_viewers_need():
    (run,) = log_of()["runs"]
    assert run["results"]
    for one in run["results"]:
        assert run["tool"]["driver"]["rules"][one["ruleIndex"]]["id"] == one["ruleId"]
        assert one["level"] in {"none", "note", "warning", "error"}
        assert one["message"]["text"]
        assert 0.0 <= float(one["properties"]["security-severity"]) <= 10.0
        assert len(one["partialFingerprints"]["conntapFinding/v1"]) == 64
        for at in [*one["locations"], *one["relatedLocations"]]:
            physical = at["physicalLocation"]
            assert physical["region"]["startLine"] >= 1
            assert " " not in physical["artifactLocation"]["uri"]
            assert at["logicalLocations"][0]["fullyQualifiedName"]
        assert [at["id"] for at in one["relatedLocations"]] == list(range(1, len(one["relatedLocations"]) + 1))


def test_fingerprints_tell_results_apart():
    results = log_of()["runs"][0]["results"]
    marks = [one["partialFingerprints"]["conntapFinding/v1"] for one in results]
    assert len(set(marks)) == len(marks)


def test_a_file_is_named_and_its_name_is_quoted():
    log = log_of(**{"nft.json": "my rules.json"})
    uris = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in log["runs"][0]["results"]}
    assert uris == {"my%20rules.json", "sysctl"}


@pytest.mark.parametrize(("reason", "told"), [("bot", "bot"), ("", "accepted in the baseline")])
def test_accepted_findings_are_suppressed(reason, told):
    results = log_of("irc", [Accepted("A005", "irc", reason)])["runs"][0]["results"]
    (one,) = [result for result in results if result["ruleId"] == "A005"]
    assert one["suppressions"] == [{"kind": "external", "justification": told}]
