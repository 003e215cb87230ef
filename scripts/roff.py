"""The little of roff that the man pages need."""

from __future__ import annotations


def escape(text: str) -> str:
    """Text as it should appear: nothing in it is read as a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("\b", "").replace("\f", "")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def head(title: str, section: int, version: str) -> list[str]:
    return [f'.TH "{title.upper()}" {section} "" "conntap {version}" "conntap"', ".SH NAME"]


def tagged(tag: str, text: str) -> list[str]:
    """One entry of a list: the tag in bold, its text indented."""
    return [".TP", f".B {escape(tag)}", escape(" ".join(text.split()))]


def see_also(*pages: tuple[str, int]) -> list[str]:
    last = len(pages) - 1
    entries = (f".BR {escape(name)} ({section}){'' if at == last else ','}" for at, (name, section) in enumerate(pages))
    return [".SH SEE ALSO", *entries]
