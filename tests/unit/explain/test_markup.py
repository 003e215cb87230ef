"""Elements and text, escaped."""

from __future__ import annotations

from conntap.explain.markup import Raw, element, escaped


def test_text_cannot_become_markup():
    assert element("text", "<script>&\"'", x=1) == '<text x="1">&lt;script&gt;&amp;&quot;&#x27;</text>'
    assert element("a", class_='"><b') == '<a class="&quot;&gt;&lt;b"/>'


def test_what_no_document_may_hold_is_left_out():
    assert escaped("a\x00\x1b\ufffe\u202eb") == "ab"


def test_markup_stays_as_it_is():
    assert element("g", Raw("<rect/>"), "x<y") == "<g><rect/>x&lt;y</g>"


def test_names_and_numbers_of_attributes():
    assert (
        element("rect", stroke_width=1.50, class_="a", rx=None, x=-0.04)
        == '<rect stroke-width="1.5" class="a" x="-0"/>'
    )
