"""A story as a table, one packet a line; on narrow terminals the reason stands below its packet."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from conntap.explain.fold import Fold, fold
from conntap.explain.packet import Words
from conntap.explain.story import ORDINARY
from conntap.explain.style import cells, cut, pad, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from conntap.explain.story import Connection, Step, Story
    from conntap.explain.style import Style

__all__ = ["clock", "closing", "connection_lines", "ending", "notes", "sums", "table"]

#: From so many columns on the reason has a column of its own.
WIDE: Final = 100
#: A packet gets so many columns at most, and at least.
PACKET: Final = (20, 44)

#: To the right, to the left; the same in ASCII.
ARROWS: Final = (("→", "←"), (">", "<"))


def table(story: Story, style: Style, *, whole: bool = False, events: bool = False) -> Iterator[str]:
    """Write the story, line by line, without line ends.

    Args:
        story: what to tell.
        style: for whom.
        whole: every packet has its line; otherwise runs of ordinary ones are put together.
        events: below each packet the events as `conntrack -E` prints them.
    """
    yield from heading(story, style)
    lines: list[Step | Fold] = list(story.steps) if whole else list(fold(story.steps))
    layout = _Layout(story, lines, style)
    yield layout.head()
    for line in lines:
        yield from layout.fold(line) if isinstance(line, Fold) else layout.step(line, events=events)
    yield from closing(story, style)


def closing(story: Story, style: Style) -> Iterator[str]:
    """The last lines, wrapped."""
    for line in ending(story):
        for number, part in enumerate(wrap(style.say(line), max(0, style.width - 2))):
            yield style.paint(f"{'  ' if number else ''}{part}", "head" if line.startswith("events:") else "")


def clock(story: Story) -> Callable[[int], str]:
    """How times are written: to the millisecond, of what takes less than a tenth of a second to the microsecond."""
    ends_ns = max((step.since_ns for step in story.steps), default=0)
    digits = 3 if ends_ns >= 100_000_000 or ends_ns == 0 else 6
    return lambda since_ns: f"{since_ns / 1e9:.{digits}f}"


def heading(story: Story, style: Style) -> Iterator[str]:
    """The title, and where there are several the connections."""
    title, remark = style.say(story.title), "kernel's view, packet by packet"
    if style.width and cells(title) + 2 + len(remark) <= style.width:
        blanks = " " * (style.width - cells(title) - len(remark))
        yield style.paint(title, "head") + blanks + style.paint(remark, "dim")
    else:
        yield from (style.paint(line, "head") for line in wrap(title, style.width))
    if len(story.connections) > 1:
        for connection in story.connections:
            lines = wrap(style.say("  ".join(connection_lines(connection))), style.width - 5 if style.width else 0)
            for number, line in enumerate(lines):
                mark = connection.letter if number == 0 else " " * len(connection.letter)
                yield f"  {style.paint(mark, 'child' if connection.master else '')}  {line}"


def connection_lines(connection: Connection) -> list[str]:
    """Say what a connection is, and whose child."""
    said = [str(connection)]
    if connection.helper:
        said.append(f"helper {connection.helper}")
    if connection.master:
        by = f", announced by packet {connection.announced_by}" if connection.announced_by else ""
        said.append(f"child of {connection.master}{by}")
    return said


def notes(step: Step) -> list[tuple[str, str]]:
    """Return what stands beside a packet, with its colour: the reason, windows, expectations."""
    found: list[tuple[str, str]] = []
    if step.why:
        bad = step.invalid or step.dropped
        found.append((step.why, "bad" if bad else "dim" if step.reason in ORDINARY else ""))
    if step.sent_text:
        found.append((f"leaves as: {step.sent_text}", ""))
    if step.windows_said:
        found.append((f"windows: {step.windows_said}", "dim"))
    if step.packet is None:
        return found
    related = step.verdict == "RELATED"  # its reason says whose expectation it used
    removed = Counter(told.words for told in step.events if told.kind == "EXP_DESTROY" and not related)
    found += [(f"⊖ {words}{f' (×{count})' if count > 1 else ''}", "expectation") for words, count in removed.items()]
    announced = [told.words for told in step.events if told.kind == "EXP_NEW"]
    found += [(f"⊕ {words}", "expectation") for words in together(announced)]
    return found


def together(announced: Iterable[str]) -> list[str]:
    """Put announcements that differ in the port alone into one."""
    ports: dict[tuple[str, str], list[str]] = {}
    for words in announced:
        found = re.fullmatch(r"(.* may open \S+ \S+?)(:\d+)( for [^:]*)", words)
        head, port, tail = found.groups() if found else (words, "", "")
        ports.setdefault((head, tail), []).append(port)
    return [head + ", ".join(several) + tail for (head, tail), several in ports.items()]


def sums(story: Story) -> str:
    """Count the events: what a kernel would have sent."""
    kinds = [f"{story.events.get(kind, 0):,} {kind}" for kind in ("NEW", "UPDATE", "DESTROY")]
    parts = [f"events: {', '.join(kinds)}"]
    for number, what in (
        (story.events.get("EXP_NEW", 0), "expectation"),
        (story.invalid, "invalid packet"),
        (story.dropped, "dropped packet"),
    ):
        if number or what != "dropped packet":
            parts.append(f"{number:,} {what}{'' if number == 1 else 's'}")
    return " · ".join([*parts, "same as kernel 6.18 would send"])


def ending(story: Story) -> Iterator[str]:
    """What was left at the end, and the sums."""
    several = len(story.connections) > 1
    left = [
        f"{connection.letter + ': ' if several else ''}{connection.state or 'in the table'}"
        + (f", {connection.timeout:,} s left" if connection.timeout is not None else "")
        for connection in story.connections
        if connection.left
    ]
    if left:
        yield f"when the capture ends: {' · '.join(left)}"
    if story.root.flow_id is None:
        yield "no packet of it ever made an entry"
    if story.left_out:
        ordinary = "" if story.flooded else "ordinary "
        yield f"{story.left_out:,} {ordinary}packets more are not told"
    yield sums(story)


class _Layout:
    """Columns that fit the story and the terminal."""

    def __init__(self, story: Story, lines: list[Step | Fold], style: Style) -> None:
        self._style = style
        self._several = len(story.connections) > 1
        steps = [line for line in lines if not isinstance(line, Fold)]
        self._since = clock(story)
        self._flipped = {connection.letter for connection in story.connections if story.flipped(connection.letter)}
        self._number = max([len(str(step.number or "")) for step in steps] + [1])
        self._time = max([len(self._since(step.since_ns)) for step in story.steps] + [4])
        self._letter = max(len(connection.letter) for connection in story.connections) if self._several else 0
        self._state = max([len(_state(step)) for step in steps] + [5])
        longest = max([cells(style.say(_words(step).fit(PACKET[1]))) for step in steps] + [6])
        fixed = self._number + 1 + self._time + 1 + (self._letter + 1 if self._several else 0) + 2 + 13 + self._state
        self.wide = style.width == 0 or style.width >= WIDE
        self._tiny = not self.wide and style.width - fixed - 2 < PACKET[0]
        if style.width == 0:
            self._packet = longest
            self._why = 0
        elif self.wide:
            self._packet = min(longest, max(PACKET[0], (style.width - fixed - 4) * 45 // 100))
            self._why = style.width - fixed - 4 - self._packet
        else:
            self._why = max(16, style.width - self._indent)
            self._packet = min(longest, self._why if self._tiny else style.width - fixed - 2)

    @property
    def _indent(self) -> int:
        return self._number + 1 + self._time + 1 + (self._letter + 1 if self._several else 0) + 2

    def _arrows(self, letter: str) -> tuple[str, str]:
        """Of the original and of the reply direction: to the right is from the root's client to its server."""
        right, left = ARROWS[self._style.ascii]
        return (left, right) if letter in self._flipped else (right, left)

    def _row(self, number: str, since: str, letter: str, arrow: str, packet: str, verdict: str, state: str) -> str:
        style = self._style
        child = "child" if letter not in ("", "A") else ""
        parts = [number.rjust(self._number), style.paint(since.rjust(self._time), "dim")]
        if self._several:
            parts.append(style.paint(pad(letter, self._letter), child))
        parts.append(style.paint(arrow, child) + " " + pad(packet, self._packet) + " ")
        if self._tiny:
            return " ".join(parts)
        parts.append(style.paint(verdict.ljust(11), verdict) + " ")
        parts.append(style.paint(state.ljust(self._state), "" if state in ("—", "-", "state") else "state"))
        return " ".join(parts)

    def head(self) -> str:
        """The heading of the columns."""
        style = self._style
        row = self._row("#", "time", "", " ", "packet", "verdict", "state")
        return style.paint((row + ("  why" if self.wide else "")).rstrip(), "dim")

    def step(self, step: Step, *, events: bool) -> Iterator[str]:
        """A packet, or an event without one."""
        style = self._style
        arrow = " " if step.direction is None else self._arrows(step.connection)[step.direction == "reply"]
        packet = cut(style.say(_words(step).fit(self._packet)), self._packet, style.say("…"))
        number = str(step.number or "")
        verdict = step.verdict or "-"
        row = self._row(number, self._since(step.since_ns), step.connection, arrow, packet, verdict,
                        style.say(_state(step)))  # fmt: skip
        beside = [(style.say(said), color) for said, color in notes(step)]
        if style.width == 0:
            yield (row + "  " + "; ".join(said for said, _ in beside)).rstrip()
        elif self.wide:
            lines = [(line, color) for said, color in beside for line in wrap(said, self._why)] or [("", "")]
            yield (row + "  " + style.paint(*lines[0])).rstrip()
            for line, color in lines[1:]:
                yield " " * (style.width - self._why) + style.paint(line, color)
        else:
            yield row.rstrip()
            if self._tiny and step.eventful:
                said = "  ".join(part for part in (step.verdict, style.say(_state(step))) if part)
                beside.insert(0, (said, step.verdict))
            for said, color in beside:
                if said == style.say(step.why) and step.reason in ORDINARY:
                    continue
                for line in wrap(said, self._why):
                    yield " " * self._indent + style.paint(line, color)
        if events:
            for told in step.events:
                for number_, line in enumerate(wrap(style.say(told.text), max(0, style.width - self._indent - 2))):
                    yield " " * (self._indent + 2 * bool(number_)) + style.paint(line, "dim")

    def fold(self, run: Fold) -> Iterator[str]:
        """Ordinary packets in one line."""
        style = self._style
        since = self._since(run.first.since_ns)
        said = style.say(run.words(arrows=self._arrows(run.first.connection)))
        indent = self._number + 1 + self._time + 1
        letter = pad(run.first.connection, self._letter) + " " if self._several else ""
        line = f"{' ' * self._number} {since.rjust(self._time)} {letter}{style.say('·')} {said}, nothing changes"
        yield style.paint(cut(line, style.width, style.say("…")) if style.width > indent else line, "dim")


def _words(step: Step) -> Words:
    return Words(step.short, step.more)


def _state(step: Step) -> str:
    """What became of the state: the new one, a dash where it stays, `gone` behind the entry's end."""
    if step.state == step.before:
        return "—"
    return step.state or "gone"
