"""The ladder diagram as a picture: SVG that needs nothing beside it, readable light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from conntap.explain.colors import STYLE, state_class
from conntap.explain.fold import Fold
from conntap.explain.ladder import Lane, Row, label_of, ladder, remarks
from conntap.explain.markup import Raw, element
from conntap.explain.packet import shorten
from conntap.explain.style import wrap
from conntap.explain.text import clock, ending

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conntap.explain.story import Step, Story

__all__ = ["picture"]

WIDTH: Final = 980
EDGE: Final = 20
#: Where lifelines stand, and where remarks begin.
LEFT, RIGHT, BESIDE = 146.0, 612.0, 644.0
MIDDLE: Final = (LEFT + RIGHT) / 2
#: By so much a child's lifelines stand further inside, and its band further right.
INSET, BAND = 30.0, 11.0
#: Advance of a letter, of the widest fonts that the style names: monospace of 12 and 11, sans of 12 pixels.
MONO, SMALL, SANS = 7.3, 6.7, 6.7
LINE: Final = 14.5
#: So many rows at most: nobody looks at a longer picture.
ROWS: Final = 600
#: A row is at least so high.
ROW: Final = 26.5


class _Place(NamedTuple):
    """Where a row stands: the arrow's height, and the remarks beside it."""

    y: float
    remarks: list[tuple[str, str]]


def picture(story: Story, *, whole: bool = False) -> Raw:
    """Draw the story; *whole*: every packet has its row. Rows carry the numbers of their packets in `data-step`."""
    return Raw("".join(_Picture(story, whole=whole).parts()))


class _Picture:
    def __init__(self, story: Story, *, whole: bool) -> None:
        self._story = story
        self._ladder = ladder(story, whole=whole, most=ROWS)
        self._top = 108.0
        self._places = self._lay()
        last = self._places[-1] if self._places else _Place(self._top, [])
        self._bottom = last.y + max(16.0, LINE * len(last.remarks))
        self._since = clock(story)

    def _lay(self) -> list[_Place]:
        places: list[_Place] = []
        y = self._top
        room = int((WIDTH - EDGE - BESIDE) / SANS)
        several = len(self._ladder.lanes) > 1
        first = {lane.first for lane in self._ladder.lanes if lane.depth}
        for number, row in enumerate(self._ladder.rows):
            found = [] if isinstance(row.item, Fold) else remarks(row.item, several=several)
            beside = [(line, color) for said, color in found for line in wrap(said, room)]
            y += 14.0 if number in first else 0.0
            places.append(_Place(y, beside))
            y += max(ROW, LINE * len(beside) + 10.0)
        return places

    def parts(self) -> Iterator[str]:
        """The document."""
        foot = [line for said in ending(self._story) for line in wrap(said, int((WIDTH - 2 * EDGE) / SANS))]
        foot = self._ladder.omissions() + foot
        height = self._bottom + 26 + LINE * len(foot) + 10
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
            f'height="{height:.0f}" role="img">'
        )
        yield element("title", self._story.title)
        yield element("style", Raw(STYLE))
        yield element("rect", x=0.5, y=0.5, width=WIDTH - 1, height=height - 1, rx=8, class_="paper")
        yield from self._heading()
        for lane in self._ladder.lanes:
            yield from self._lifelines(lane)
        for number, (row, place) in enumerate(zip(self._ladder.rows, self._places, strict=True)):
            yield element("g", *self._row(row, place, self._next(number)), class_="row", data_step=_ids(row))
        for number, line in enumerate(foot):
            bold = " bold" if line.startswith("events:") else ""
            yield element("text", line, x=EDGE, y=self._bottom + 32 + LINE * number, class_=f"sans dim{bold}")
        yield "</svg>\n"

    def _next(self, number: int) -> float:
        return self._places[number + 1].y if number + 1 < len(self._places) else self._bottom + 16

    def _heading(self) -> Iterator[str]:
        drawn = self._ladder
        yield element("text", self._story.title, x=EDGE, y=32, class_="sans text title")
        said = "kernel's view, packet by packet"
        if len(self._story.title) * 9.4 + len(said) * SANS < WIDTH - 3 * EDGE:
            yield element("text", said, x=WIDTH - EDGE, y=32, text_anchor="end", class_="sans dim")
        for x, label in ((LEFT, drawn.left), (MIDDLE, drawn.gateway), (RIGHT, drawn.right)):
            shown = label if len(label) <= 30 else label[:29] + "…"
            width = max(92.0, len(shown) * MONO + 18)
            x = min(max(x, EDGE + width / 2), WIDTH - EDGE - width / 2)
            yield element("rect", x=x - width / 2, y=50, width=width, height=24, rx=5, class_="box")
            yield element("text", shown, x=x, y=66, text_anchor="middle", class_="text bold")

    def _xs(self, lane: Lane) -> tuple[float, float, float]:
        """Left lifeline, band, right lifeline."""
        inset = min(lane.depth, 5) * INSET
        return LEFT + inset, MIDDLE + min(lane.depth, 5) * BAND, RIGHT - inset

    def _lifelines(self, lane: Lane) -> Iterator[str]:
        left, middle, right = self._xs(lane)
        if lane.depth == 0:
            top, bottom, kind = 74.0, self._bottom + 8, ""
        else:
            top, bottom, kind = self._places[lane.first].y - 16, self._places[lane.last].y + 12, "child "
            yield from self._awaited(lane, middle)
            for x, name, anchor in ((left, lane.left, "start"), (right, lane.right, "end")):
                at = x - 4 if anchor == "start" else x + 4
                yield element("text", name, x=at, y=top - 3, text_anchor=anchor, class_="child small tip")
        for x in (left, right):
            yield element("line", x1=x, y1=top, x2=x, y2=bottom, class_=f"{kind}life")
        end = bottom if lane.depth == 0 else self._places[lane.last].y + 6
        if lane.depth == 0:
            yield element("rect", x=middle - 3.5, y=top, width=7, height=end - top, class_="track")
        for band in lane.bands:
            y1 = self._places[band.first].y
            closed = band is lane.bands[-1] and lane.connection.left is not None
            y2 = end if closed else self._places[band.last].y
            title = element("title", f"{lane.connection.letter}: {band.state}")
            yield element("rect", title, x=middle - 3.5, y=y1, width=7, height=max(2.0, y2 - y1),
                          class_=state_class(band.state))  # fmt: skip

    def _awaited(self, lane: Lane, x: float) -> Iterator[str]:
        """From the packet that announced the child to its first one."""
        if lane.since == lane.first:
            return
        y1, y2 = self._places[lane.since].y, self._places[lane.first].y
        yield element("line", x1=x, y1=y1 + 4, x2=x, y2=y2 - 3, class_="child line thin waits")
        yield element("circle", cx=x, cy=y1, r=3.5, class_="child tip")

    def _row(self, row: Row, place: _Place, below: float) -> Iterator[str]:
        y = place.y
        step = row.item.first if isinstance(row.item, Fold) else row.item
        yield element("rect", x=EDGE / 2, y=y - 20, width=WIDTH - EDGE, height=below - y - 1, rx=4, class_="hit")
        yield element("text", str(step.number or ""), x=EDGE + 18, y=y + 4, text_anchor="end", class_="dim small")
        yield element("text", self._since(step.since_ns), x=EDGE + 82, y=y + 4, text_anchor="end", class_="dim small")
        lane = self._ladder.lanes[row.lane]
        if isinstance(row.item, Fold):
            arrows = ("←", "→") if lane.flipped else ("→", "←")
            said = f"⋮ {row.item.words(arrows=arrows)}"
            yield element("text", said, x=LEFT + 24, y=y + 4, class_="sans dim small halo")
        elif row.to_right is None:
            _, middle, _ = self._xs(lane)
            yield element("path", d=f"M{middle} {y - 5}l5 5l-5 5l-5 -5z", class_=f"{_kind(lane)} tip")
        else:
            yield from self._arrow(row, row.item, lane, y)
        yield from self._beside(step, place)

    def _arrow(self, row: Row, step: Step, lane: Lane, y: float) -> Iterator[str]:
        left, middle, right = self._xs(lane)
        start, end, sign = (left, right, 1) if row.to_right else (right, left, -1)
        kind = "bad" if row.crossed else _kind(lane)
        stop = middle if row.stops else end - sign * 7
        yield element("line", x1=start, y1=y, x2=stop, y2=y, class_=f"{kind} line")
        if not row.stops:
            yield element("path", d=f"M{end:g} {y:g}l{-9 * sign} -4.5v9z", class_=f"{kind} tip")
        if row.crossed:
            yield element("circle", cx=middle, cy=y, r=8, class_="paper tip")
            for dy in (-5, 5):
                yield element("line", x1=middle - 5, y1=y - dy, x2=middle + 5, y2=y + dy, class_="bad cross")
        half = abs(middle - start) - 14
        words = label_of(step)
        room = half if len(words.short) * MONO <= half or row.crossed else abs(end - start) - 20
        anchor = "start" if row.to_right else "end"
        said = words.fit(int(room / MONO)).split("  ", 1)
        more = [element("tspan", said[1], dx=8, class_="dim small")] if len(said) > 1 else []
        yield element("text", said[0], *more, x=start + sign * 8, y=y - 5, text_anchor=anchor, class_="text halo")
        if room <= half and (changed := _changed(step)):
            changed = shorten(changed, int(half / SMALL))
            yield element("text", changed, x=middle + sign * 18, y=y - 5, text_anchor=anchor, class_="dim small halo")

    def _beside(self, step: Step, place: _Place) -> Iterator[str]:
        y = place.y + 4
        for number, (said, color) in enumerate(place.remarks):
            at = y + LINE * number
            changed = step.state != step.before
            if number == 0 and step.packet is not None and (changed or step.verdict not in ("", "ESTABLISHED")):
                yield from self._pills(step, at)
                continue
            name = "dim" if color == "dim" else f"said-{color}" if color else "text"
            yield element("text", said, x=BESIDE, y=at, class_=f"sans {name}")

    def _pills(self, step: Step, y: float) -> Iterator[str]:
        """The verdict where it is not ESTABLISHED, and the new state in the colour of its band."""
        x = BESIDE
        if step.verdict != "ESTABLISHED":
            yield element("text", step.verdict, x=x, y=y, class_=f"bold said-{step.verdict}")
            x += len(step.verdict) * MONO + 10
        if step.state != step.before:
            state = step.state or "gone"
            width = len(state) * 6.7 + 12
            yield element("rect", x=x, y=y - 11, width=width, height=15, rx=7.5, class_=state_class(state))
            yield element("text", state, x=x + width / 2, y=y, text_anchor="middle", class_="on-state small bold")


def _kind(lane: Lane) -> str:
    return "child" if lane.depth else "flow"


def _changed(step: Step) -> str:
    """What the gateway makes of a packet: a rewritten line, and of a connection's first packet its new ends."""
    if step.sent_text:
        return step.sent_text
    if step.sent is None or step.packet is None or step.before is not None:
        return ""
    came, leaves = step.packet.ends, step.sent
    source = f"from {leaves.source}" if came[:2] != leaves[:2] else ""
    destination = f"to {leaves.destination}" if came[2:] != leaves[2:] else ""
    return f"{source} {destination}".strip()


def _ids(row: Row) -> str:
    """Numbers of the packets of a row, for what wants to show more of them."""
    steps: Sequence[Step] = row.item.steps if isinstance(row.item, Fold) else (row.item,)
    return " ".join(str(step.number) for step in steps if step.number is not None)
