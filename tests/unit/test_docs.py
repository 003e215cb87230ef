"""What the documents point at is there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]

# A file in backquotes, as a path or as its last parts: `text/conntrack.rs`, `Makefile`.
FILE = re.compile(r"`([\w./-]+\.(?:rs|py|pyi|toml|md|txt|sh))`")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
# Said of files that a reader makes, or that are still to come.
TO_COME = {"sinks/", "pipeline.py"}


FOLDERS = (
    "benches crates docs examples fuzz/fuzz_targets fuzz/src packaging python schema scripts "
    "tests/contract tests/golden tests/lab tests/property tests/services tests/unit"
)


@cache
def files() -> frozenset[str]:
    inside = (path for folder in FOLDERS.split() for path in (ROOT / folder).rglob("*") if path.is_file())
    return frozenset(
        f"/{path.relative_to(ROOT)}" for path in (*inside, *ROOT.iterdir(), *ROOT.glob("tests/*"), *ROOT.glob("fuzz/*"))
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(document):
    missing = [
        name
        for name in FILE.findall(document.read_text())
        if not name.startswith("/")  # of the reader's machine
        and not any(path.endswith("/" + name.removeprefix("./")) for path in files())
        and not any(later in name for later in TO_COME)
    ]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    broken = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert not broken


def test_every_kernel_fault_names_a_test_that_exists():
    page = (ROOT / "docs/kernel-faults.md").read_text()
    named = {name for row in page.splitlines() for name in re.findall(r"`(\w{20,})`", row.rpartition("| ")[2] or row)}
    named |= set(re.findall(r"`((?:test_|an?_|ids_|every_)\w+)`", page))
    sources = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "crates").rglob("tests/*.rs")]
    code = "\n".join(path.read_text() for path in sources)
    assert len(named) > 10
    assert not {name for name in named if not re.search(rf"(?:def|fn) {name}\(", code)}


def test_make_targets_that_are_named_exist():
    """`make lint` in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (document.name, target)
        for document in DOCUMENTS
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(), re.MULTILINE)
    }
    assert not {(name, target) for name, target in named if target not in targets}
