"""What `import conntap` gives is said once, loads on first use, and is documented."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from types import ModuleType

import pytest

import conntap


def test_all_is_sorted_and_without_doubles():
    assert list(conntap.__all__) == sorted(set(conntap.__all__))


def test_every_name_in_all_resolves():
    for name in conntap.__all__:
        assert getattr(conntap, name) is not None, name


def test_nothing_public_is_outside_all():
    for name in conntap.__all__:
        getattr(conntap, name)
    exposed = {
        name
        for name, value in vars(conntap).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and name not in {"annotations", "TYPE_CHECKING"}
    }
    assert exposed - {"annotations", "TYPE_CHECKING"} <= set(conntap.__all__)


def test_checkers_see_the_same_names_as_programs(root):
    """The names are resolved on first use; a type checker reads the imports under TYPE_CHECKING instead."""
    tree = ast.parse((root / "python/conntap/__init__.py").read_text())
    imported = {
        alias.asname or alias.name
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == set(conntap.__all__)


def test_every_public_name_is_documented():
    bare = [
        name
        for name in conntap.__all__
        if callable(thing := getattr(conntap, name)) and not (inspect.getdoc(thing) or "").strip()
    ]
    assert not bare


def test_every_public_class_says_a_public_home():
    hidden = {
        name: thing.__module__
        for name in conntap.__all__
        if isinstance(thing := getattr(conntap, name), type) and not thing.__module__.startswith("conntap")
    }
    assert not hidden


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="conntrak"):
        _ = conntap.conntrak


def test_version_is_the_one_in_cargo_toml(root):
    import tomllib

    said = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert conntap.__version__ == said


def test_star_import_gives_all():
    code = "import conntap; ns = {}; exec('from conntap import *', ns); print(set(conntap.__all__) - set(ns))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
