"""Rules of nft's JSON as nft writes them for people. What is not known here is told as compact JSON.

Source: nft(8), libnftables-json(5).
"""

from __future__ import annotations

import json
from typing import Any, Final, cast

from conntap.rules.nft_values import as_dict, as_list

__all__ = ["expression_text", "match_text", "rule_text", "statement_text"]

#: Keys of `meta` that are written without the word.
_BARE: Final = {"iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup"}
#: Objects whose names stand in quotation marks.
_QUOTED: Final = {"ct helper": "ct helper set", "ct timeout": "ct timeout set", "ct expectation": "ct expectation set"}
_VERDICTS: Final = {"accept", "drop", "return", "continue", "jump", "goto"}
#: Of these a list is any of the bits.
_BITS: Final = {"state", "status", "flags", "label", "event"}


def rule_text(statements: list[str], comment: object = None) -> str:
    """A whole rule."""
    words = " ".join(statements)
    return f'{words} comment "{comment}"' if comment else words


def statement_text(part: object) -> str:
    """A match, or anything else that stands in a rule."""
    found = as_dict(part)
    if len(found) != 1:
        return _raw(part)
    [(kind, inner)] = found.items()
    about = as_dict(inner)
    match kind:
        case "match":
            return match_text(about)
        case "accept" | "drop" | "return" | "continue" | "notrack" | "last":
            return kind
        case "jump" | "goto":
            return f"{kind} {about.get('target')}"
        case "vmap":
            return f"{expression_text(about.get('key'))} vmap {expression_text(about.get('data'))}"
        case "counter" if not isinstance(inner, str):
            return "counter"
        case "counter":
            return f'counter name "{inner}"'
        case "log":
            return " ".join(["log", *(_log(word, value) for word, value in about.items())])
        case "limit" if about:
            over = "over " if about.get("inv") else ""
            unit = f"{about['rate_unit']}/" if about.get("rate_unit", "packets") != "packets" else "/"
            return f"limit rate {over}{about.get('rate')}{' ' if unit != '/' else ''}{unit}{about.get('per')}"
        case "quota" if about:
            return f"quota {'over ' if about.get('inv') else ''}{about.get('val')} {about.get('val_unit', 'bytes')}"
        case "ct count":
            return f"ct count {'over ' if about.get('inv') else ''}{about.get('val')}"
        case "limit" | "quota":
            return f'{kind} name "{inner}"'
        case "mangle":
            return f"{expression_text(about.get('key'))} set {expression_text(about.get('value'))}"
        case "reject":
            return _reject(about)
        case "snat" | "dnat" | "masquerade" | "redirect":
            return _translation(kind, about)
        case "set" if "set" in about:
            within = " ".join(statement_text(inner) for inner in as_list(about.get("stmt")))
            element = f"{expression_text(about.get('elem'))}{' ' if within else ''}{within}"
            return f"{about.get('op')} {about['set']} {{ {element} }}"
        case "meter":
            within = f"{expression_text(about.get('key'))} {statement_text(about.get('stmt'))}"
            return f"meter {about.get('name')} {{ {within} }}"
        case "flow":
            return f"flow {about.get('op')} {about.get('flowtable')}"
        case "queue":
            return f"queue num {expression_text(about['num'])}" if "num" in about else "queue"
        case "xt" if about:
            return f"xt {about.get('type')} {about.get('name')}"
        case _ if kind in _QUOTED:
            return (
                f'{_QUOTED[kind]} "{inner}"' if isinstance(inner, str) else f"{_QUOTED[kind]} {expression_text(inner)}"
            )
        case _:
            return _raw(part)


def match_text(match: dict[str, Any]) -> str:
    """What a rule asks."""
    left, right, op = match.get("left"), match.get("right"), match.get("op")
    bits = as_dict(left).get("&")
    if bits is not None and op == "==" and _is_bits(bits):
        return f"{expression_text(as_list(bits)[0])} {_words(right)} / {_words(as_list(bits)[1])}"
    shown = expression_text(left)
    bitwise = _bitwise(left)
    if bitwise:
        value = _words(right)
    elif isinstance(right, bool):
        value = "exists" if right else "missing"
    elif _is_name(left):
        value = _quoted(right)
    else:
        value = expression_text(right)
    plain = op == "in" or (op == "==" and bits is None and not (bitwise and not _is_set(right)))
    return f"{shown} {value}" if plain else f"{shown} {op} {value}"


def expression_text(value: object) -> str:
    """A field, a value, a set."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return _raw(value)
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return ",".join(expression_text(part) for part in as_list(cast("object", value)))
    found = as_dict(value)
    if len(found) != 1:
        return _raw(value)
    [(kind, inner)] = found.items()
    about = as_dict(inner)
    parts = as_list(inner)
    match kind:
        case "payload" if "protocol" in about:
            return f"{about['protocol']} {about.get('field')}"
        case "payload" if "base" in about:
            return f"@{about['base']},{about.get('offset')},{about.get('len')}"
        case "meta":
            key = str(about.get("key"))
            return key if key in _BARE else f"meta {key}"
        case "ct":
            direction = f"{about['dir']} " if "dir" in about else ""
            return f"ct {direction}{about.get('key')}"
        case "fib":
            return f"fib {' . '.join(str(flag) for flag in as_list(about.get('flags')))} {about.get('result')}"
        case "concat":
            return " . ".join(expression_text(part) for part in parts)
        case "set":
            return f"{{ {', '.join(_element(part) for part in parts or [inner])} }}"
        case "range" if len(parts) == 2:
            return f"{expression_text(parts[0])}-{expression_text(parts[1])}"
        case "prefix":
            return f"{about.get('addr')}/{about.get('len')}"
        case "&" | "|" | "^" | "<<" | ">>":
            return f" {kind} ".join(_operand(part) for part in parts)
        case "map":
            return f"{expression_text(about.get('key'))} map {expression_text(about.get('data'))}"
        case "elem":
            timeout = f" timeout {about['timeout']}s" if "timeout" in about else ""
            return f"{expression_text(about.get('val'))}{timeout}"
        case "numgen":
            return f"numgen {about.get('mode')} mod {about.get('mod')}"
        case "jhash":
            return f"jhash {expression_text(about.get('expr'))} mod {about.get('mod')}"
        case "exthdr" | "tcp option" | "ip option":
            field = f" {about['field']}" if "field" in about else ""
            return f"{kind} {about.get('name')}{field}"
        case "osf" | "rt" | "socket" | "ipsec":
            return f"{kind} {about.get('key')}"
        case _:
            return _raw(value)


def _element(part: object) -> str:
    """An element of a set, or `key : value` of a map."""
    pair = as_list(part)
    if len(pair) != 2:
        return expression_text(part)
    value = pair[1]
    is_verdict = bool(_VERDICTS & set(as_dict(value)))
    return f"{expression_text(pair[0])} : {statement_text(value) if is_verdict else expression_text(value)}"


def _operand(part: object) -> str:
    words = as_list(part)
    if words:
        return f"({' | '.join(expression_text(word) for word in words)})"
    inner = as_dict(part)
    return f"({expression_text(part)})" if "|" in inner or "&" in inner else expression_text(part)


def _words(value: object) -> str:
    """Bits by name: `syn,ack`."""
    found = as_dict(value)
    if "|" in found:
        return ",".join(_words(part) for part in as_list(found["|"]))
    words = as_list(value)
    return ",".join(_words(part) for part in words) if words else expression_text(value)


def _is_bits(pair: object) -> bool:
    parts = as_list(pair)
    return len(parts) == 2 and _bitwise(parts[0]) and not isinstance(parts[1], int)


def _bitwise(left: object) -> bool:
    found = as_dict(left)
    about = as_dict(found.get("ct") or found.get("payload"))
    return str(about.get("key")) in _BITS or (about.get("protocol") == "tcp" and str(about.get("field")) in _BITS)


def _is_set(right: object) -> bool:
    return "set" in as_dict(right) or (isinstance(right, str) and right.startswith("@"))


def _is_name(left: object) -> bool:
    found = as_dict(left)
    name = as_dict(found.get("meta")).get("key") or as_dict(found.get("ct")).get("key")
    return name in ("iif", "oif", "iifname", "oifname", "helper")


def _quoted(value: object) -> str:
    """Names of interfaces and helpers: one, or a set."""
    if isinstance(value, str):
        return value if value.startswith("@") else f'"{value}"'
    listed = as_list(as_dict(value).get("set"))
    return f"{{ {', '.join(_quoted(part) for part in listed)} }}" if listed else expression_text(value)


def _log(word: str, value: object) -> str:
    return f'{word} "{value}"' if word == "prefix" else f"{word} {_words(value)}"


def _reject(about: dict[str, Any]) -> str:
    if not about:
        return "reject"
    code = f" {about['expr']}" if "expr" in about else ""
    return f"reject with {about.get('type')}{code}"


def _translation(kind: str, about: dict[str, Any]) -> str:
    words = [kind]
    if "family" in about:
        words.append(str(about["family"]))
    if "addr" in about or "port" in about:
        address = expression_text(about["addr"]) if "addr" in about else ""
        port = f":{expression_text(about['port'])}" if "port" in about else ""
        words += ["to", f"[{address}]{port}" if port and ":" in address else f"{address}{port}"]
    flags = about.get("flags")
    return " ".join([*words, _words(flags)] if flags else words)


def _raw(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
