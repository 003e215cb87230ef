"""The ladder diagram in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from conntap.explain.fold import Fold
from conntap.explain.ladder import Ladder, Row, label_of, ladder, remarks
from conntap.explain.style import cells, cut, pad, wrap
from conntap.explain.text import clock, closing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.explain.packet import Words
    from conntap.explain.story import Story
    from conntap.explain.style import Style

__all__ = ["ladder_lines"]

#: Columns where nothing says how many there are.
USUAL: Final = 120
#: So many columns are too few for arrows and remarks.
NARROW: Final = 62
#: By so many columns a child's lifelines stand further inside.
INSET: Final = 3


class _Signs(NamedTuple):
    line: str
    child: str
    gateway: str
    dash: str
    broken: str
    right: str
    left: str
    cross: str
    end: str
    more: str


UNICODE: Final = _Signs("│", "┊", "┃", "─", "╌", "►", "◄", "✕", "◆", "⋮")
ASCII: Final = _Signs("|", ":", "#", "-", ".", ">", "<", "X", "*", ":")


def ladder_lines(story: Story, style: Style, *, whole: bool = False) -> Iterator[str]:
    """Draw the story, line by line, without line ends."""
    yield from _Drawing(story, style, whole=whole).lines()


class _Drawing:
    def __init__(self, story: Story, style: Style, *, whole: bool) -> None:
        self._story = story
        self._style = style
        self._ladder: Ladder = ladder(story, whole=whole)
        self._signs = ASCII if style.ascii else UNICODE
        width = style.width or USUAL
        self._since = clock(story)
        self._time = max([len(self._since(step.since_ns)) for step in story.steps] + [4]) + 1
        rest = max(24, width - self._time)
        # On a narrow terminal the remarks stand below the arrows.
        self._below = rest < NARROW
        self._drawn = rest - 1 if self._below else rest * 58 // 100
        self._beside = rest - 3 if self._below else rest - self._drawn - 2
        self._left, self._right = 0, self._drawn - 1
        self._middle = self._drawn // 2

    def lines(self) -> Iterator[str]:
        style, drawn = self._style, self._ladder
        width = style.width or USUAL
        yield from (style.paint(line, "head") for line in wrap(style.say(self._story.title), width))
        yield " " * self._time + style.paint(self._heads(), "head")
        for number, row in enumerate(drawn.rows):
            yield from self._row(number, row)
        for said in drawn.omissions():
            yield from (style.paint(line, "dim") for line in wrap(style.say(said), width))
        yield from closing(self._story, style)

    def _heads(self) -> str:
        """Client, gateway and server above their lifelines, as much of them as there is room for."""
        style, drawn = self._style, self._ladder
        ends = style.say("…")
        roomy = len(drawn.gateway) // 2 + max(cells(drawn.left), cells(drawn.right)) < self._drawn // 2
        middle = drawn.gateway if roomy else "gateway"
        at = self._middle - len(middle) // 2
        left = cut(style.say(drawn.left), at - 1, ends)
        right = cut(style.say(drawn.right), self._drawn - at - len(middle) - 1, ends)
        line = pad(left, at) + middle
        return pad(line, self._drawn - cells(right)) + right

    def _row(self, number: int, row: Row) -> Iterator[str]:
        style = self._style
        step = row.item.first if isinstance(row.item, Fold) else row.item
        beside = [part for said, color in self._beside_of(row) for part in self._wrapped(said, color)]
        since = self._since(step.since_ns).rjust(self._time - 1)
        yield f"{style.paint(since, 'dim')} {self._painted(self._arrow(number, row), row)}" + (
            "" if self._below or not beside else f"  {style.paint(*beside[0])}"
        )
        for said, color in beside if self._below else beside[1:]:
            blank = " " * self._time
            if self._below:
                yield f"{blank}  {style.paint(said, color)}"
            else:
                yield f"{blank}{self._painted(self._lifelines(number), None)}  {style.paint(said, color)}"

    def _wrapped(self, said: str, color: str) -> list[tuple[str, str]]:
        return [(line, color) for line in wrap(self._style.say(said), self._beside)]

    def _beside_of(self, row: Row) -> list[tuple[str, str]]:
        return [] if isinstance(row.item, Fold) else remarks(row.item, several=len(self._ladder.lanes) > 1)

    def _lifelines(self, number: int) -> list[str]:
        cell = [" "] * self._drawn
        cell[self._middle] = self._signs.gateway
        for lane in self._ladder.lanes:
            if lane.first <= number <= lane.last:
                sign = self._signs.child if lane.depth else self._signs.line
                inset = self._inset(lane.depth)
                cell[self._left + inset] = cell[self._right - inset] = sign
        return cell

    def _inset(self, depth: int) -> int:
        return min(depth * INSET, self._drawn // 2 - 12)

    def _arrow(self, number: int, row: Row) -> list[str]:
        signs, cell = self._signs, self._lifelines(number)
        lane = self._ladder.lanes[row.lane]
        left, right = self._left + self._inset(lane.depth) + 1, self._right - self._inset(lane.depth) - 1
        if isinstance(row.item, Fold):
            arrows = (signs.left, signs.right) if lane.flipped else (signs.right, signs.left)
            said = self._style.say(f"{signs.more} {row.item.words(arrows=arrows)}")
            self._put(cell, left + 3, cut(said, right - left - 6))
            return cell
        if row.to_right is None:
            cell[self._middle] = signs.end
            return cell
        sign = signs.broken if row.crossed else signs.dash
        for at in range(left, right + 1):
            if at != self._middle:
                cell[at] = sign
        self._label(cell, row, label_of(row.item), left, right)
        if row.crossed:
            cell[self._middle] = signs.cross
        if row.stops:
            behind = range(self._middle + 1, right + 1) if row.to_right else range(left, self._middle)
            for at in behind:
                cell[at] = " "
        elif row.to_right:
            cell[right] = signs.right
        else:
            cell[left] = signs.left
        return cell

    def _label(self, cell: list[str], row: Row, words: Words, left: int, right: int) -> None:
        """Write what the packet is on the sender's half of its arrow; where it is too long, on the whole of it."""
        room = (self._middle - left if row.to_right else right - self._middle) - 3
        if cells(words.short) > room and not row.crossed:
            room = right - left - 4
        label = cut(self._style.say(words.fit(room)), room, self._style.say("…"))
        self._put(cell, left + 1 if row.to_right else right - cells(label), label)
        if isinstance(row.item, Fold) or not row.item.sent_text or room == right - left - 4:
            return
        sent = cut(self._style.say(row.item.sent_text), room, self._style.say("…"))
        self._put(cell, self._middle + 2 if row.to_right else self._middle - 1 - cells(sent), sent)

    @staticmethod
    def _put(cell: list[str], at: int, text: str) -> None:
        for letter in text:
            if at >= len(cell):
                return
            cell[at] = letter
            at += 1

    def _painted(self, cell: list[str], row: Row | None) -> str:
        text = pad("".join(cell), self._drawn)
        if row is None or not self._style.color:
            return text
        child = bool(self._ladder.lanes[row.lane].depth)
        color = "bad" if row.crossed else "dim" if row.to_right is None else "child" if child else ""
        return self._style.paint(text, color)
