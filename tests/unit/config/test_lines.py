"""Lines of TOML keys: every path that `tomllib` finds has its line."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.config.lines import lines_of

TEXT = """\
# a comment with = and [brackets]
a = 1
b.c = "x # no comment \\" ]"
"quoted. \\u00e9" = 'C:\\'   # behind
list = [
  "one", # [
  { x = 1, y.z = [2,
     3] },

  "two",
]
long = \"\"\"
[no.table]
it = "is text\"\"\"\"
raw = '''
x = 1'''
when = 1979-05-27 07:32:00

[table]
k = true
[table . "sub"]
k = { }
[[many]]
k = 1
[many.inner]
j = 2
[[many]]
[[many.deep]]
z = []
[[many.deep]]
z = 3
"""

EXPECTED = {
    ("a",): 2,
    ("b",): 3,
    ("b", "c"): 3,
    ("quoted. é",): 4,
    ("list",): 5,
    ("list", 0): 6,
    ("list", 1): 7,
    ("list", 1, "x"): 7,
    ("list", 1, "y"): 7,
    ("list", 1, "y", "z"): 7,
    ("list", 1, "y", "z", 0): 7,
    ("list", 1, "y", "z", 1): 8,
    ("list", 2): 10,
    ("long",): 12,
    ("raw",): 15,
    ("when",): 17,
    ("table",): 19,
    ("table", "k"): 20,
    ("table", "sub"): 21,
    ("table", "sub", "k"): 22,
    ("many",): 23,
    ("many", 0): 23,
    ("many", 0, "k"): 24,
    ("many", 0, "inner"): 25,
    ("many", 0, "inner", "j"): 26,
    ("many", 1): 27,
    ("many", 1, "deep"): 28,
    ("many", 1, "deep", 0): 28,
    ("many", 1, "deep", 0, "z"): 29,
    ("many", 1, "deep", 1): 30,
    ("many", 1, "deep", 1, "z"): 31,
}


def paths(value: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Every path through a parsed file."""
    inside: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    return {path} - {()} | {found for key, below in inside for found in paths(below, (*path, key))}


def test_each_key_has_the_line_on_which_it_stands():
    assert lines_of(TEXT) == EXPECTED
    assert set(EXPECTED) == paths(tomllib.loads(TEXT))


def test_line_ends_of_windows_count_once():
    assert lines_of(TEXT.replace("\n", "\r\n")) == EXPECTED


def test_nothing_has_no_lines():
    assert lines_of("") == lines_of("# only a comment") == {}


@pytest.mark.parametrize("name", ["pyproject.toml", "Cargo.toml", "Cargo.lock", "schema/fields.toml", "rustfmt.toml"])
def test_real_files(root, name):
    text = (root / name).read_text()
    lines = lines_of(text)
    assert set(lines) == paths(tomllib.loads(text))
    rows = text.splitlines()
    for path, line in lines.items():
        named = next(part for part in reversed(path) if isinstance(part, str))
        if isinstance(path[-1], str):
            assert named in rows[line - 1]


SCALARS = [
    "1",
    "-0.5e3",
    "inf",
    "true",
    "1979-05-27 07:32:00",
    '"a # ] } \\" ="',
    "'C:\\'",
    '"""\n[no]\nx = "" \\" """""',
    "'''\n''''",
]
KEYS = ["a", "a-1 . b", '"q = [\\u00e9"', "'l'.\"\".x"]
GAPS = st.sampled_from(["", " ", "\n", "\r\n\t", " # ] , }\n"])
VALUES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: (
        st.lists(st.tuples(GAPS, inner, GAPS), max_size=3).map(lambda parts: f"[{','.join(map(''.join, parts))} ]")
        | st.lists(inner, max_size=3).map(
            lambda parts: f"{{ {', '.join(f'{KEYS[at]} = {part}' for at, part in enumerate(parts[1:]))} }}"
        )
    ),
    max_leaves=6,
)
HEADS = st.sampled_from(["[[many]]", "[[many.deep]]", "[t{n}]", '[ t{n} . "s [" ]', "[many.t{n}]"])


@given(st.lists(st.tuples(HEADS | st.none(), st.sampled_from(KEYS), VALUES, GAPS), max_size=6))
def test_whatever_tomllib_takes_has_its_lines(statements):
    text = "[[many]]\n[[many.deep]]\n"
    for number, (head, key, value, gap) in enumerate(statements):
        if head is not None:
            text += head.replace("{n}", str(number)) + " # [\n"
        text += f"k{number}.{key} = {value}\n{gap}\n"
    assert set(lines_of(text)) == paths(tomllib.loads(text))
