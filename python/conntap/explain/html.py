"""Stories as one page that needs nothing beside it: the diagram with details where the mouse is, the table below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.explain.markup import Raw, element
from conntap.explain.numbers import say_windows
from conntap.explain.packet import Words
from conntap.explain.svg import picture
from conntap.explain.text import clock, connection_lines, notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conntap.explain.story import Step, Story

__all__ = ["page"]

STYLE: Final = """
:root{color-scheme:light dark;--line:#d0d7de;--dim:#59636e;--bad:#cf222e;--mark:#ddf4ff;--paper:#fff;--text:#1f2328}
@media(prefers-color-scheme:dark){:root{--line:#30363d;--dim:#9198a1;--bad:#ff7b72;--mark:#121d2f;--paper:#0d1117;
--text:#e6edf3}}
body{font:14px/1.45 system-ui,sans-serif;max-width:1100px;margin:1.5rem auto;padding:0 1rem;background:var(--paper);
color:var(--text)}
h1{font-size:1.2rem}h2{font-size:1.05rem;margin:2rem 0 .5rem}svg{max-width:100%;height:auto}
table{border-collapse:collapse;width:100%;font-size:13px}th,td{text-align:left;vertical-align:top;padding:.2rem .5rem;
border-top:1px solid var(--line)}th{color:var(--dim);font-weight:500;position:sticky;top:0;background:var(--paper)}
td.d{white-space:nowrap}td.n{text-align:right;font-variant-numeric:tabular-nums}td.p{font-family:ui-monospace,monospace;overflow-wrap:anywhere}
td small{color:var(--dim);display:block}tr.bad td.v,tr.bad td.w{color:var(--bad)}tr.on{background:var(--mark)}
input{font:inherit;padding:.3rem .6rem;width:22rem;max-width:100%}
#tip{position:fixed;display:none;max-width:34rem;padding:.5rem .7rem;border:1px solid var(--line);border-radius:6px;
background:var(--paper);box-shadow:0 4px 16px #0003;font-size:12.5px;pointer-events:none;overflow-wrap:anywhere}
#tip dl{display:grid;grid-template-columns:auto 1fr;gap:0 .8rem;margin:0}#tip dt{color:var(--dim)}#tip dd{margin:0}
.row.on .hit{opacity:.12}.row.off{opacity:.15}
"""

SCRIPT: Final = """
const tip=document.getElementById('tip'),all=s=>[...document.querySelectorAll(s)];
const rowsOf=g=>g.dataset.step.split(' ').map(n=>document.getElementById(
  g.closest('section').id+'-'+n)).filter(Boolean);
all('.row').forEach(g=>{
  g.addEventListener('mousemove',e=>{
    g.classList.add('on');const rows=rowsOf(g);rows.forEach(r=>r.classList.add('on'));if(!rows.length)return;
    tip.innerHTML=rows[0].querySelector('template').innerHTML;tip.style.display='block';
    tip.style.left=Math.min(e.clientX+16,innerWidth-tip.offsetWidth-8)+'px';
    tip.style.top=Math.min(e.clientY+16,innerHeight-tip.offsetHeight-8)+'px'});
  g.addEventListener('mouseleave',()=>{
    g.classList.remove('on');rowsOf(g).forEach(r=>r.classList.remove('on'));tip.style.display='none'});
  g.addEventListener('click',()=>rowsOf(g)[0]?.scrollIntoView({block:'center',behavior:'smooth'}))});
document.getElementById('find').addEventListener('input',e=>{
  const words=e.target.value.toLowerCase().split(/\\s+/).filter(Boolean);
  all('tbody tr').forEach(r=>{r.hidden=!words.every(w=>r.textContent.toLowerCase().includes(w))});
  all('.row').forEach(g=>{const rows=rowsOf(g);
    g.classList.toggle('off',words.length>0&&rows.length>0&&rows.every(r=>r.hidden))})});
"""


def page(stories: Sequence[Story], *, source: str, whole: bool = False) -> str:
    """Write the page.

    Args:
        stories: one section for each.
        source: what was read, for the heading.
        whole: in the diagrams every packet has its row; in the tables it always has.
    """
    return "".join(_parts(stories, source, whole=whole))


def _parts(stories: Sequence[Story], source: str, *, whole: bool) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield element("title", f"{stories[0].title if len(stories) == 1 else source} · conntap explain")
    yield element("style", Raw(STYLE))
    yield "</head><body>"
    yield element("h1", f"conntap explain {source}")
    yield '<p><input id="find" type="search" placeholder="filter: INVALID, SYN, 227, A …" aria-label="filter"></p>'
    for number, story in enumerate(stories, start=1):
        yield f'<section id="s{number}">'
        if len(stories) > 1:
            yield element("h2", story.title)
        yield picture(story, whole=whole)
        if len(story.connections) > 1:
            items = (
                element("li", f"{connection.letter}: {', '.join(connection_lines(connection))}")
                for connection in story.connections
            )
            yield element("ul", *items)
        yield from _table(story, f"s{number}")
        yield "</section>"
    yield '<div id="tip"></div>'
    yield element("script", Raw(SCRIPT))
    yield "</body></html>\n"


def _table(story: Story, prefix: str) -> Iterator[str]:
    since = clock(story)
    heads = ("#", "time", "", "packet", "verdict", "state", "why")
    yield "<table><thead>"
    yield element("tr", *(element("th", head) for head in heads))
    yield "</thead><tbody>"
    several = len(story.connections) > 1
    for number, step in enumerate(story.steps):
        to_right = (step.direction == "original") != story.flipped(step.connection)
        arrow = "" if step.direction is None else "→" if to_right else "←"
        yield _row(step, prefix, number, since(step.since_ns), f"{step.connection} {arrow}" if several else arrow)
    yield "</tbody></table>"


def _row(step: Step, prefix: str, number: int, since: str, arrow: str) -> Raw:
    state = "—" if step.state == step.before else step.state or "gone"
    beside = [said for said, _ in notes(step)]
    events = [element("small", told.text) for told in step.events]
    return element(
        "tr",
        element("td", str(step.number or ""), class_="n"),
        element("td", since, class_="n"),
        element("td", arrow, class_="d"),
        element("td", Words(step.short, step.more).fit(1000), class_="p"),
        element("td", step.verdict, class_="v"),
        element("td", state),
        element("td", *(element("div", said) for said in beside), *events, _details(step), class_="w"),
        id=f"{prefix}-{step.number if step.number is not None else f'e{number}'}",
        class_="bad" if step.invalid or step.dropped else None,
    )


def _details(step: Step) -> Raw:
    """What the mouse brings up."""
    packet = step.packet
    facts = [
        ("packet", f"{step.number}" if step.number is not None else "no packet"),
        ("from", packet.ends.source if packet else ""),
        ("to", packet.ends.destination if packet else ""),
        ("leaves as", " ".join([str(step.sent or ""), step.sent_text]).strip()),
        ("carries", f"{packet.payload_length:,} of {packet.length:,} bytes" if packet else ""),
        ("numbers", ", ".join(step.more)),
        ("verdict", f"{step.verdict}: {step.why}" if step.verdict else step.why),
        ("state", f"{step.before or 'no entry'} → {step.state or 'no entry'}"),
        ("time left", f"{step.timeout:,} s" if step.timeout is not None else ""),
        ("windows", say_windows(step.windows, step.bases) if step.windows else ""),
        *(("event", told.text) for told in step.events),
        *(("means", told.words) for told in step.events if told.words),
    ]
    rows = (part for name, said in facts if said for part in (element("dt", name), element("dd", said)))
    return element("template", element("dl", *rows))
