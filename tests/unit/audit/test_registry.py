"""The registry and docs/audit.md say the same."""

import re

from conntap.audit.registry import BY_ID, CHECKS, section


def test_ids_are_in_order_and_used_once():
    assert [check.id for check in CHECKS] == [f"A{number:03}" for number in range(1, 25)]
    assert len(BY_ID) == len(CHECKS)


def test_every_check_says_everything():
    for check in CHECKS:
        assert all((check.title, check.levels, check.why, check.example, check.fix, check.shows)), check.id


def test_the_page_has_a_section_for_each(root):
    page = (root / "docs/audit.md").read_text()
    anchors = re.findall(r'<a id="(a\d+)"></a>', page)
    assert anchors == [check.id.lower() for check in CHECKS]
    for check in CHECKS:
        assert section(check) in page, f"{check.id}: python -m conntap.audit.pages docs/audit.md"
