"""Legal holds: set, listed, released; a damaged file stops retention."""

from __future__ import annotations

import pytest

from conntap.errors import FilterError, UsageError
from conntap.store.hold import NAME, Hold, active, add, held, holds, release


def test_set_and_released(tmp_path):
    add(tmp_path, Hold("a", "case 1", "host 10.0.0.1", set_ns=5))
    add(tmp_path, Hold("b", "case 2", from_ns=1, to_ns=9))
    assert list(holds(tmp_path)) == ["a", "b"]
    release(tmp_path, "a", at_ns=6)
    with held(tmp_path) as found:
        assert found == {"b": Hold("b", "case 2", from_ns=1, to_ns=9)}


def test_what_cannot_hold_is_refused(tmp_path):
    add(tmp_path, Hold("a", "case 1"))
    with pytest.raises(UsageError, match="there is a hold 'a' already"):
        add(tmp_path, Hold("a", "case 2"))
    with pytest.raises(UsageError, match="ends before it begins"):
        add(tmp_path, Hold("b", "case 2", from_ns=9, to_ns=1))
    with pytest.raises(FilterError):
        add(tmp_path, Hold("c", "case 2", where="nonsense here"))
    with pytest.raises(UsageError, match="there is no hold 'z'"):
        release(tmp_path, "z", at_ns=6)
    assert list(holds(tmp_path)) == ["a"]


def test_it_expires_by_itself():
    hold = Hold("a", "case", expires_ns=10)
    assert active({"a": hold}, 9) == [hold]
    assert active({"a": hold}, 10) == []


@pytest.mark.parametrize(("times", "touched"), [((1, 4), False), ((1, 5), True), ((9, 12), True), ((10, 12), False)])
def test_which_segments_it_touches(times, touched):
    assert Hold("a", "case", from_ns=5, to_ns=9).touches(*times) is touched
    assert Hold("a", "case", from_ns=5).touches(None, None)


@pytest.mark.parametrize("line", ["no json", '{"id":"a","colour":1}', "[1]"])
def test_a_damaged_line_is_named(tmp_path, line):
    add(tmp_path, Hold("a", "case 1"))
    with (tmp_path / NAME).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(UsageError, match="line 2: it is no hold"):
        holds(tmp_path)
