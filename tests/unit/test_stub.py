"""The stub of the binding says what the binary is: the reviewable list of the border."""

from __future__ import annotations

import ast
import re

import pytest

import conntap._core as core


@pytest.fixture(scope="module")
def stub(root) -> ast.Module:
    return ast.parse((root / "python/conntap/_core.pyi").read_text())


def names_in(stub: ast.Module) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for node in stub.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found[name] = node
            case ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = node
            case _:
                pass
    return {name: node for name, node in found.items() if not name.startswith("_")}


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_stub_and_binary_have_the_same_names(stub):
    assert set(names_in(stub)) == public(core)


def test_stub_and_binary_have_the_same_members(stub):
    for name, node in names_in(stub).items():
        if not isinstance(node, ast.ClassDef):
            continue
        members = {
            entry.target.id if isinstance(entry, ast.AnnAssign) else entry.name
            for entry in node.body
            if isinstance(entry, ast.FunctionDef | ast.AsyncFunctionDef)
            or (isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name))
        }
        thing = getattr(core, name)
        inherited = public(thing.__mro__[1]) if isinstance(thing, type) else set()
        assert {member for member in members if not member.startswith("_")} == public(thing) - inherited, name


def test_every_public_name_has_a_docstring_in_the_stub(stub):
    bare = [
        name
        for name, node in names_in(stub).items()
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not ast.get_docstring(node)
    ]
    assert not bare


def test_every_class_says_a_public_home(stub):
    strays = {
        name: cls.__module__
        for name in public(core)
        if isinstance(cls := getattr(core, name), type) and not cls.__module__.startswith("conntap")
    }
    assert not strays


def test_every_class_is_frozen(root):
    """Frozen is invisible from Python: look at the source."""
    loose = [
        f"{source.name}: #[pyclass({options})]"
        for source in (root / "crates/conntap-py/src").glob("*.rs")
        for options in re.findall(r"#\[pyclass(?:\(([^]]*)\))?\]", source.read_text())
        if "frozen" not in options
    ]
    assert not loose


def test_instances_take_no_new_attributes():
    roomy = [
        name
        for name in public(core)
        if isinstance(thing := getattr(core, name), type)
        and not issubclass(thing, BaseException)
        and thing.__dictoffset__
    ]
    assert not roomy
