"""Makes what follows from schema/fields.toml: crates/conntap-core/src/columns/fields.rs and docs/fields.md.

`--check` writes nothing and fails when a file on disk differs.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "schema/fields.toml"
RUST = ROOT / "crates/conntap-core/src/columns/fields.rs"
DOCS = ROOT / "docs/fields.md"

TYPES = {
    "u8": "U8", "u16": "U16", "u32": "U32", "u64": "U64", "i32": "I32",
    "time": "Time", "address": "Address", "text": "Text", "labels": "Labels",
}  # fmt: skip
ARROW = {
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64", "i32": "int32",
    "time": "timestamp[ns, UTC]", "address": "fixed_size_binary[16], IPv4 as ::ffff:a.b.c.d",
    "text": "utf8", "labels": "fixed_size_binary[16]",
}  # fmt: skip
JSON = {
    "time": "integer, ns since the epoch",
    "address": "text",
    "text": "text",
    "labels": "list of numbers",
}


def load() -> list[dict[str, Any]]:
    """Read and check the schema."""
    fields = tomllib.loads(SCHEMA.read_text())["field"]
    names = [field["name"] for field in fields]
    assert len(names) == len(set(names)), "a field is said twice"
    for field in fields:
        assert field["type"] in TYPES, field
        assert set(field["rows"]) <= {"flow", "expectation", "gap", "record"}, field
        assert set(field) <= {"name", "type", "rows", "kernel", "text", "ipfix", "doc"}, field
    return fields


def camel(name: str) -> str:
    """orig_src → OrigSrc."""
    return "".join(part.capitalize() for part in name.split("_"))


def elements(field: dict[str, Any]) -> list[str]:
    """Names of its information element, of IPv4 and of IPv6 rows."""
    names = [part.split()[0] for part in field.get("ipfix", "").split(" / ") if part]
    return (names * 2)[:2] if len(names) == 1 else names or ["", ""]


def rust(fields: list[dict[str, Any]]) -> str:
    """The core's table of fields."""
    kinds = [TYPES[field["type"]] for field in fields]
    slots = [kinds[:at].count(kind) for at, kind in enumerate(kinds)]
    lines = [
        "//! Made by scripts/generate.py from schema/fields.toml; do not edit.",
        "",
        "use super::Type;",
        "",
        "/// A field of a row, in schema order.",
        "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]",
        "#[repr(u8)]",
        "pub enum Field {",
        *[f"    /// {field['doc']}\n    {camel(field['name'])}," for field in fields],
        "}",
        "",
        "/// Number of fields.",
        f"pub const COUNT: usize = {len(fields)};",
        "",
        "/// All fields: name and type.",
        "pub const FIELDS: [(Field, &str, Type); COUNT] = [",
        *[f'    (Field::{camel(f["name"])}, "{f["name"]}", Type::{TYPES[f["type"]]}),' for f in fields],
        "];",
        "",
        "/// Which of the columns of its type a field has.",
        "#[rustfmt::skip]",
        "pub(super) const SLOTS: [usize; COUNT] = [",
        *["    " + " ".join(f"{slot}," for slot in slots[at : at + 24]) for at in range(0, len(slots), 24)],
        "];",
        "",
        "/// Number of columns of each type.",
        *[f"pub(super) const {kind.upper()}_COLUMNS: usize = {kinds.count(kind)};" for kind in TYPES.values()],
        "",
        "/// Fields as keys of a JSON object, behind another member.",
        "pub(crate) const KEYS: [&[u8]; COUNT] = [",
        *[f'    b",\\"{f["name"]}\\":",' for f in fields],
        "];",
        "",
        "/// Fields as information elements of IPFIX, of IPv4 and of IPv6 rows; empty where there is none.",
        "pub(crate) const ELEMENTS: [[&str; 2]; COUNT] = [",
        *["    [{}],".format(", ".join(f'"{name}"' for name in elements(f))) for f in fields],
        "];",
        "",
    ]
    return "\n".join(lines)


def docs(fields: list[dict[str, Any]]) -> str:
    """The reference page."""
    lines = [
        "# Fields",
        "",
        "<!-- made by scripts/generate.py from schema/fields.toml; do not edit -->",
        "",
        "Every row has these fields under these names: keys of `--json`, of `Flow.json()` and `Batch.json()`, and",
        "Arrow columns. A field that was not sent is missing in JSON and null in columns, never a made-up 0.",
        "",
        "- All columns are always there, in this order; those that no row of a batch has share one block of zeros.",
        "- JSON lists the bits of `status` by name too, as `status_names`; bits without a name are in the number",
        "  only.",
        "- A state without a name is `UNKNOWN_` and its number. Bytes of a name that are no UTF-8 become U+FFFD.",
        "- Addresses are 16 bytes in columns: IPv4 and IPv6 sort and compare alike.",
        "  `ipaddress.IPv6Address(value)` reads one; its `ipv4_mapped` is the IPv4 address.",
        "- Times are integers in JSON and `timestamp[ns, UTC]` in columns. polars, pandas, pyarrow and duckdb 2",
        "  keep the nanoseconds; `fetchall()` in duckdb needs pytz for any time with a zone.",
        "- pandas makes floats of integer columns with nulls. To keep integers:",
        "  `pyarrow.table(rows).to_pandas(types_mapper=pandas.ArrowDtype)`.",
        "",
    ]
    titles = {
        "flow": "Flows",
        "expectation": "Expectations",
        "gap": "Gaps",
        "record": "What records of a ledger have besides",
    }
    for kind, title in titles.items():
        lines += [
            f"## {title}",
            "",
            "| field | Arrow type | JSON | kernel | conntrack | IPFIX | meaning |",
            "|---|---|---|---|---|---|---|",
        ]
        for field in fields:
            if kind in field["rows"]:
                text = field.get("text", "").replace("|", "\\|")
                lines.append(
                    f"| `{field['name']}` | {ARROW[field['type']]} | {JSON.get(field['type'], 'integer')} "
                    f"| {field['kernel']} | {text} | {field.get('ipfix', '')} | {field['doc']} |"
                )
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Write the files, or with --check compare them."""
    fields = load()
    stale = 0
    for path, text in ((RUST, rust(fields)), (DOCS, docs(fields))):
        if path.exists() and path.read_text() == text:
            continue
        if "--check" in sys.argv[1:]:
            print(f"{path.relative_to(ROOT)} is not what schema/fields.toml says: run make gen", file=sys.stderr)
            stale = 1
        else:
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
    return stale


if __name__ == "__main__":
    raise SystemExit(main())
