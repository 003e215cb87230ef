"""Colours of the diagram, light and dark. Each says what a word or a sign beside it says as well."""

from __future__ import annotations

from typing import Final

__all__ = ["STYLE", "state_class"]

#: class → property → (light, dark). Contrast on the background is 4.5:1 at least for what is read.
RULES: Final = {
    "paper": {"fill": ("#ffffff", "#0d1117"), "stroke": ("#d0d7de", "#30363d")},
    "halo": {"stroke": ("#ffffff", "#0d1117")},
    "box": {"fill": ("#f6f8fa", "#161b22"), "stroke": ("#d0d7de", "#30363d")},
    "text": {"fill": ("#1f2328", "#e6edf3")},
    "dim": {"fill": ("#59636e", "#9198a1")},
    "life": {"stroke": ("#8c959f", "#6e7681")},
    "flow": {"stroke": ("#0969da", "#58a6ff"), "fill": ("#0969da", "#58a6ff")},
    "child": {"stroke": ("#8250df", "#bc8cff"), "fill": ("#8250df", "#bc8cff")},
    "bad": {"stroke": ("#cf222e", "#ff7b72"), "fill": ("#cf222e", "#ff7b72")},
    "said-NEW": {"fill": ("#0969da", "#58a6ff")},
    "said-RELATED": {"fill": ("#8250df", "#bc8cff")},
    "said-INVALID": {"fill": ("#cf222e", "#ff7b72")},
    "said-UNTRACKED": {"fill": ("#9a6700", "#d29922")},
    "said-UNSEEN": {"fill": ("#9a6700", "#d29922")},
    "said-expectation": {"fill": ("#8250df", "#bc8cff")},
    "said-bad": {"fill": ("#cf222e", "#ff7b72")},
    "opening": {"fill": ("#b35f00", "#bb8009")},
    "open": {"fill": ("#1f883d", "#3fb950")},
    "closing": {"fill": ("#6e7781", "#8b949e")},
    "track": {"fill": ("#eaeef2", "#21262d")},
    "on-state": {"fill": ("#ffffff", "#0d1117")},
    "hit": {"fill": ("#0969da", "#58a6ff")},
}  # fmt: skip

FIXED: Final = """
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.sans,.sans tspan{font:12px system-ui,-apple-system,"Segoe UI","Helvetica Neue","DejaVu Sans",sans-serif}
.title{font-size:16px;font-weight:600}.small{font-size:11px}.bold{font-weight:600}
.life,.flow.line,.child.line,.bad.line{fill:none}
.life{stroke-width:1.5}.line{stroke-width:1.6}.thin{stroke-width:1}.cross{stroke-width:2.4}
.child.life{stroke-dasharray:2 3}.bad.line,.waits{stroke-dasharray:5 4}
.halo{stroke-width:3.5;stroke-linejoin:round;paint-order:stroke}.tip{stroke:none}.hit{opacity:0}
"""

STATES: Final = {
    "ESTABLISHED": "open", "ASSURED": "open", "REPLIED": "open", "UNREPLIED": "opening", "SYN_SENT": "opening",
    "SYN_RECV": "opening", "SYN_SENT2": "opening", "COOKIE_WAIT": "opening", "COOKIE_ECHOED": "opening",
    "HEARTBEAT_SENT": "opening", "HEARTBEAT_ACKED": "open",
}  # fmt: skip


def state_class(state: str) -> str:
    """Tell whether a state is on the way in, there, or on the way out."""
    return STATES.get(state, "closing")


def _rules(which: int) -> str:
    return "".join(
        f".{name}{{{';'.join(f'{key}:{pair[which]}' for key, pair in rule.items())}}}" for name, rule in RULES.items()
    )


#: For a <style> element.
STYLE: Final = f"{_rules(0)}@media(prefers-color-scheme:dark){{{_rules(1)}}}{FIXED}"
