"""Colours can be read on their paper, light and dark."""

from __future__ import annotations

import re

import pytest

from conntap.explain.colors import RULES, STYLE, state_class
from conntap.explain.protocols import SCTP_STATES, TCP_STATES


def luminance(color: str) -> float:
    """Source: WCAG 2, relative luminance."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_read_stands_out_from_the_paper(which):
    paper = RULES["paper"]["fill"][which]
    read = ["text", "dim", "child", "bad", *(name for name in RULES if name.startswith("said-"))]
    assert {name for name in read if contrast(RULES[name]["fill"][which], paper) < 4.5} == set()


@pytest.mark.parametrize("which", [0, 1])
def test_names_of_states_can_be_read_on_their_colour(which):
    on = RULES["on-state"]["fill"][which]
    assert {name for name in ("opening", "open", "closing") if contrast(RULES[name]["fill"][which], on) < 3.0} == set()


def test_every_state_has_a_colour():
    assert {state_class(state) for state in (*TCP_STATES, *SCTP_STATES, "gone")} == {"opening", "open", "closing"}


def test_dark_is_asked_for_once_and_changes_colours_alone():
    (dark,) = re.findall(r"@media\(prefers-color-scheme:dark\)\{(.*?)\}\}", STYLE)
    assert set(re.findall(r"([\w-]+):#", dark)) <= {"fill", "stroke"}
