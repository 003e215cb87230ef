"""Text on a terminal: width in cells, signs, colours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from conntap.explain.style import COLORS, IN_ASCII, Style, cells, cut, pad, wrap

TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=60)


def test_wide_letters_take_two_columns():
    assert cells("文件.txt") == 8
    assert pad("文件", 6) == "文件  "
    assert cut("文件文件", 5) == "文件…"


@given(TEXT, st.integers(1, 40))
def test_what_is_cut_fits(text, width):
    assert cells(cut(text, width)) <= width


@given(TEXT, st.integers(8, 40))
def test_wrapped_lines_fit_and_lose_no_letter(text, width):
    lines = wrap(text, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_without_a_width_nothing_is_wrapped():
    assert wrap("a " * 500, 0) == ["a " * 500]


def test_ascii_has_a_sign_for_every_sign_and_a_question_mark_for_other_letters():
    style = Style(ascii=True)
    assert style.say("→ ⇒ … · ⊕ ×4") == "-> => ... - (+) x4"
    assert style.say("Größe") == "Gr??e"
    assert all(said.isascii() for said in map(str, IN_ASCII.values()))
    assert Style().say("→") == "→"


def test_colours_go_around_text_that_is_there():
    assert Style(color=True).paint("x", "INVALID") == "\x1b[1;31mx\x1b[0m"
    assert Style(color=True).paint("x", "no such colour") == "x"
    assert Style(color=True).paint("  ", "INVALID") == "  "
    assert Style().paint("x", "INVALID") == "x"
    assert set(COLORS) >= {"NEW", "RELATED", "INVALID"}
