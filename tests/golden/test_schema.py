"""schema/fields.toml says every field once: what is made from it is fresh, what it names exists."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import conntap

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture(scope="module")
def generator(root) -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", root / "scripts/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fields(generator) -> list[dict[str, Any]]:
    return generator.load()


def test_generated_files_are_fresh(root):
    done = subprocess.run(
        [sys.executable, root / "scripts/generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_check_tells_a_stale_file(generator, fields, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(generator, "ROOT", tmp_path)
    monkeypatch.setattr(generator, "RUST", tmp_path / "fields.rs")
    monkeypatch.setattr(generator, "DOCS", tmp_path / "fields.md")
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    (tmp_path / "fields.rs").write_text(generator.rust(fields))
    (tmp_path / "fields.md").write_text(generator.docs(fields) + "by hand\n")
    assert generator.main() == 1
    assert "fields.md is not what schema/fields.toml says" in capsys.readouterr().err


def test_every_kernel_attribute_is_one_that_the_codec_knows(root, fields):
    source = (root / "crates/conntap-core/src/wire/constants.rs").read_text()
    known = set(re.findall(r"pub const (\w+):", source))
    named = {name for field in fields for name in re.findall(r"\bCTA_\w+", field["kernel"])}
    assert named <= known, named - known


def test_names_tell_the_unit_of_a_time(fields):
    assert {field["name"] for field in fields if field["type"] == "time"} == {
        field["name"] for field in fields if field["name"].endswith("_ns")
    }


def test_a_description_is_whole_sentences(fields):
    assert not [field["name"] for field in fields if not re.fullmatch(r"[A-Z0-9].*\.", field["doc"])]


def test_an_information_element_has_name_and_number(fields):
    given = [element for field in fields if "ipfix" in field for element in field["ipfix"].split(" / ")]
    assert given
    assert not [element for element in given if not re.fullmatch(r"[a-zA-Z0-9]+ \d+", element)]


def test_no_output_has_a_field_that_the_schema_does_not_say(fields, data):
    names = {field["name"] for field in fields}
    seen: set[str] = set()
    for event in conntap.replay(data / "recordings/samples.pcapng"):
        row = json.loads(event.json())
        allowed = {field["name"] for field in fields if about(row["kind"]) in field["rows"]}
        assert row.keys() - {"status_names"} <= allowed, row
        seen |= row.keys()
    assert len(seen & names) > 30


def about(kind: str) -> str:
    return "gap" if kind == "GAP" else "expectation" if kind.startswith("EXP_") else "flow"
