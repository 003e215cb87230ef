"""docs/audit.md is made of the registry."""

import pytest

from conntap.audit.pages import made, renewed


def test_the_page_is_fresh(root):
    page = (root / "docs/audit.md").read_text()
    assert renewed(page) == page, "run: python -m conntap.audit.pages docs/audit.md"


def test_a_page_without_its_mark_is_refused():
    with pytest.raises(ValueError, match="lacks its mark"):
        renewed("# Audit\n")


def test_the_table_leads_to_the_sections():
    assert "| [A001](#a001) |" in made()
