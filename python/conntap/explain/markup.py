"""Writes SVG and HTML: elements and text, everything escaped."""

from __future__ import annotations

from html import escape

__all__ = ["Raw", "element", "escaped"]


class Raw(str):
    """Markup that is written as it is."""

    __slots__ = ()


def escaped(text: str) -> str:
    """Escape *text* for content and attributes; what no XML document may hold is left out."""
    return escape("".join(letter for letter in text if letter.isprintable() or letter == "\n"), quote=True)


def element(name: str, /, *children: str, **attributes: str | float | None) -> Raw:
    """Write an element: `element("text", "hello", x=1, class_="head")`; None leaves an attribute out.

    A trailing underscore of an attribute's name is dropped, other ones become dashes.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(child if isinstance(child, Raw) else escaped(child) for child in children)
    return Raw(f"<{name}{said}>{inside}</{name}>" if inside else f"<{name}{said}/>")


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return escaped(value)
    return f"{value:.1f}".rstrip("0").rstrip(".")
