"""`python -m conntap.audit.pages docs/audit.md`: writes the sections on the findings anew, as the registry has them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from conntap.audit.registry import CHECKS, section

__all__ = ["made", "renewed"]

MARK: Final = "<!-- from here on made by `python -m conntap.audit.pages`; do not edit -->\n"


def made() -> str:
    """A table of the findings, and a section on each, with the anchor that reports link to."""
    rows = "".join(f"| [{check.id}](#{check.id.lower()}) | {check.title} | {check.levels} |\n" for check in CHECKS)
    sections = "\n".join(f'<a id="{check.id.lower()}"></a>\n\n{section(check)}' for check in CHECKS)
    return f"\n| id | what | severity |\n|---|---|---|\n{rows}\n{sections}"


def renewed(page: str) -> str:
    """A page with the sections written anew behind its mark."""
    head, mark, _ = page.partition(MARK)
    if not mark:
        raise ValueError(f"the page lacks its mark: {MARK.strip()}")
    return head + mark + made()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
