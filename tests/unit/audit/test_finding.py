"""What an audit finds."""

from conntap.audit.finding import Finding, Severity


def test_severities_are_in_order():
    assert sorted(Severity) == [Severity.INFO, Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL]


def test_a_finding_is_certain_unless_it_says_otherwise():
    assert Finding("A001", "", Severity.LOW, (), "").certain
