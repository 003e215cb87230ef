"""The rule sets of nft: the kernel takes each text, and lists it word by word as the JSON that was committed."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from conntap.lab import kernel

CORPUS = Path(__file__).resolve().parent.parent / "data/rulesets"
SETS = sorted(path.parent for path in CORPUS.glob("nft-*/rules.nft"))
#: One network namespace and one line for each: the listing, or what nft says against it.
LOAD = """for folder; do
    unshare -n sh -c 'nft -f "$0/rules.nft" && nft -j list ruleset' "$folder" 2>&1 | tr '\\n' ' '; echo
done"""


@pytest.fixture(scope="module")
def listings():
    """What nft lists of each, all loaded in one sandbox."""
    if not kernel.has_sys_admin():
        pytest.skip("the kernel refuses a user namespace, or this is not `make test`")
    command = [sys.executable, "-m", "conntap.lab.sandbox", "--", "sh", "-c", LOAD, "load", *map(str, SETS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return dict(zip(SETS, done.stdout.splitlines(), strict=True))


def objects(text):
    """All objects of a listing but the first, which tells of the program, without handles."""
    return [without_handles(one) for one in json.loads(text)["nftables"] if "metainfo" not in one]


def without_handles(value):
    match value:
        case dict():
            return {key: without_handles(inner) for key, inner in value.items() if key != "handle"}
        case list():
            return [without_handles(inner) for inner in value]
        case _:
            return value


@pytest.mark.parametrize("folder", SETS, ids=lambda path: path.name)
def test_the_kernel_lists_what_was_committed(folder, listings, need):
    need("nft")
    committed = (folder / "rules.nft.json").read_text()
    assert listings[folder].startswith("{"), listings[folder]
    listed = objects(listings[folder])
    assert listed
    if "damaged" not in tomllib.loads((folder / "expected.toml").read_text()):
        assert objects(committed) == listed
        return
    with pytest.raises(json.JSONDecodeError):
        json.loads(committed)
    whole = [json.loads(line.rstrip(",")) for line in committed.splitlines()[2:-1]]
    assert [without_handles(one) for one in whole] == listed[: len(whole)]
    assert 0 < len(whole) < len(listed)
