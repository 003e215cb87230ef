"""Changelog fragments are named as towncrier reads them and say one sentence."""

from __future__ import annotations

import re

TYPES = "breaking|added|changed|fixed|security"


def test_every_fragment_is_named_and_begins_with_the_thing(root):
    for fragment in (root / "changelog.d").iterdir():
        if fragment.name in {"README.md", "template.md.jinja"}:
            continue
        assert re.fullmatch(rf"(\d+|\+[a-z0-9-]+)\.({TYPES})(\.\d+)?\.md", fragment.name), fragment.name
        for line in fragment.read_text().strip().splitlines():
            assert re.match(r"\S.*?: \S", line), f"{fragment.name}: begin with the thing and a colon"
