"""Signal actions, by the C half of `signal`: its Python half costs milliseconds at start."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
else:
    import _signal

__all__ = ["defaults", "on_end"]

_SIGINT, _SIGPIPE, _SIGTERM = 2, 13, 15


def defaults() -> None:
    """Give SIGPIPE and SIGINT their default actions back, which Python replaces; what our parent ignores stays so."""
    _signal.signal(_SIGPIPE, _signal.SIG_DFL)
    if _signal.getsignal(_SIGINT) is _signal.default_int_handler:
        _signal.signal(_SIGINT, _signal.SIG_DFL)


def on_end(action: Callable[[], None]) -> None:
    """Call `action` on SIGINT and SIGTERM instead of ending."""

    def act(*_: object) -> None:
        action()

    for number in (_SIGINT, _SIGTERM):
        _signal.signal(number, act)
