"""`python -m scripts.events`: what documents and front end say of agents' events, from their module.

Writes the table in docs/recorder.md, docs/events.schema.json and frontend/src/lib/agentEvents.ts from
`switchboard_recorder.events`. With `--check` it changes nothing and names what is out of date.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from switchboard_recorder import events
from switchboard_recorder.events import (
    DEPTH,
    EVENT_BYTES,
    FUTURE,
    PAST,
    PAYLOADS,
    Shape,
    object_shape,
)

ROOT: Final = Path(__file__).resolve().parent.parent
GUIDE: Final = Path("docs/recorder.md")
SCHEMA: Final = Path("docs/events.schema.json")
TYPES: Final = Path("frontend/src/lib/agentEvents.ts")
_BEGIN: Final = "<!-- Made by `python -m scripts.events`. -->\n"
_END: Final = "<!-- End of what is made. -->\n"


def documents(root: Path) -> dict[Path, str]:
    """What each file has to hold."""
    guide = (root / GUIDE).read_text(encoding="utf-8")
    before, rest = guide.split(_BEGIN)
    after = rest.split(_END)[1]
    return {
        GUIDE: f"{before}{_BEGIN}\n{table()}\n{_END}{after}",
        SCHEMA: json.dumps(schema(), indent=2) + "\n",
        TYPES: typescript(),
    }


def outdated(root: Path) -> list[Path]:
    """The files that hold something else."""
    return [
        path
        for path, text in documents(root).items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text
    ]


def _classes() -> dict[str, type]:
    """Payloads and their parts by name, parts first."""
    found: dict[str, type] = {}

    def add(cls: type) -> None:
        for shape in object_shape(cls).fields.values():
            for part in (shape, shape.item):
                if part is not None and part.type == "object":
                    add(getattr(events, part.name))
        found.setdefault(cls.__name__, cls)

    for cls in PAYLOADS.values():
        add(cls)
    return found


def _leaves() -> dict[str, Shape]:
    """Texts and numbers by the name of their bounds."""

    def inside(shape: Shape) -> Iterator[Shape]:
        for part in (*shape.fields.values(), *([shape.item] if shape.item is not None else [])):
            yield part
            yield from inside(part)

    every = (leaf for cls in PAYLOADS.values() for leaf in inside(object_shape(cls)))
    return {leaf.name: leaf for leaf in every if leaf.type in {"text", "number", "integer"}}


# -- the table


def table() -> str:
    """Markdown: each kind of event, and what the types of its fields mean."""
    rows = ["| kind | says | data |", "|---|---|---|"]
    for kind, cls in PAYLOADS.items():
        data = ", ".join(_field(name, shape) for name, shape in object_shape(cls).fields.items())
        rows.append(f"| `{kind}` | {_doc(cls)} | {data} |")
    rows += ["", "| type | holds |", "|---|---|"]
    rows += [f"| {name} | {_bounds(leaf)} |" for name, leaf in _leaves().items()]
    rows += [
        f"| json | any value, at most {DEPTH} levels deep |",
        "| x[n], x{n} | a list, a mapping of at most n of them |",
        "| x? | or null |",
        "",
        f"An event is at most {EVENT_BYTES:,} bytes long, its moment at most {PAST.days} days before and",
        f"{FUTURE.seconds // 3600} hour after its arrival. What does not fit is cut, set to the bound, or left out; the event is kept,",
        "and its `altered` names each such field with what was sent.",
        "",
    ]
    return "\n".join(rows)


def _field(name: str, shape: Shape) -> str:
    return f"`{name}` {_type(shape)}"


def _type(shape: Shape) -> str:
    match shape.type:
        case "object":
            fields = shape.fields.items()
            text = "{" + ", ".join(_field(name, field) for name, field in fields) + "}"
        case "list" | "map":
            brackets = "[]" if shape.type == "list" else "{}"
            text = f"{_type(_item(shape))}{brackets[0]}{shape.most:,}{brackets[1]}"
        case "word":
            text = "/".join(shape.words)
        case _:
            text = shape.name or shape.type
    return f"{text}?" if shape.nullable else text


def _bounds(leaf: Shape) -> str:
    if leaf.type == "text":
        return f"a text of at most {leaf.most:,} characters"
    what = "a whole number" if leaf.type == "integer" else "a number"
    beyond = "; left out beyond that" if leaf.drops else ""
    return f"{what} from {leaf.least:,} to {leaf.most:,}{beyond}"


# -- JSON Schema


def schema() -> dict[str, Any]:
    """Of one record, as `events` carries it. Kinds and fields that it does not name may come."""
    definitions = {name: _leaf_schema(leaf) for name, leaf in _leaves().items()}
    definitions |= {name: _object_schema(cls) for name, cls in _classes().items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A record of an agent's job",
        "type": "object",
        "required": ["seq", "kind", "at"],
        "properties": {
            "seq": {"type": "integer", "minimum": 1},
            "kind": {"type": "string"},
            "at": {"type": "string", "format": "date-time"},
            "data": {"type": "object"},
        },
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind.value}}},
                "then": {"properties": {"data": {"$ref": f"#/$defs/{cls.__name__}"}}},
            }
            for kind, cls in PAYLOADS.items()
        ],
        "$defs": definitions,
    }


def _leaf_schema(leaf: Shape) -> dict[str, Any]:
    if leaf.type == "text":
        return {"type": "string", "maxLength": leaf.most}
    return {"type": leaf.type, "minimum": leaf.least, "maximum": leaf.most}


def _object_schema(cls: type) -> dict[str, Any]:
    fields = object_shape(cls).fields.items()
    return {
        "description": _doc(cls),
        "type": "object",
        "properties": {name: _field_schema(shape) for name, shape in fields},
    }


def _field_schema(shape: Shape) -> dict[str, Any]:
    made: dict[str, Any]
    match shape.type:
        case "json":
            return {}
        case "bool":
            made = {"type": "boolean"}
        case "word":
            made = {"enum": list(shape.words)}
        case "list":
            made = {"type": "array", "items": _field_schema(_item(shape)), "maxItems": shape.most}
        case "map":
            values = _field_schema(_item(shape))
            made = {"type": "object", "additionalProperties": values, "maxProperties": shape.most}
        case _:
            made = {"$ref": f"#/$defs/{shape.name}"}
    return {"anyOf": [made, {"type": "null"}]} if shape.nullable else made


# -- TypeScript


def typescript() -> str:
    """An interface for each payload, and all of them by kind."""
    lines = [
        "// Made by `python -m scripts.events` from switchboard_recorder/events.py. Change that.",
        'import type { Json } from "./json";',
    ]
    for name, cls in _classes().items():
        lines += ["", f"/** {_doc(cls)} */", f"export interface {name} {{"]
        fields = object_shape(cls).fields.items()
        lines += [f"  readonly {field}?: {_ts(shape)};" for field, shape in fields]
        lines.append("}")
    lines += ["", "/** What an agent may send, by kind. */", "export interface AgentEvents {"]
    lines += [f"  readonly {kind}: {cls.__name__};" for kind, cls in PAYLOADS.items()]
    lines += [
        "}",
        "",
        "/** The fields of an event of that kind as they come: their names are sure, their values not. */",
        "export type Sent<K extends keyof AgentEvents> = {",
        "  readonly [F in keyof AgentEvents[K]]?: Json;",
        "};",
        "",
    ]
    return "\n".join(lines)


def _ts(shape: Shape) -> str:
    match shape.type:
        case "text":
            text = "string"
        case "number" | "integer":
            text = "number"
        case "bool":
            text = "boolean"
        case "json":
            text = "Json"
        case "word":
            text = " | ".join(f'"{word}"' for word in shape.words)
        case "list":
            text = f"readonly {_ts(_item(shape))}[]"
        case "map":
            text = f"{{ readonly [name: string]: {_ts(_item(shape))} }}"
        case _:
            text = shape.name
    return f"{text} | null" if shape.nullable else text


def _item(shape: Shape) -> Shape:
    if shape.item is None:
        raise TypeError(f"a {shape.type} has no items")
    return shape.item


def _doc(cls: type) -> str:
    return " ".join((inspect.getdoc(cls) or "").split())


def main(arguments: list[str]) -> int:
    """0: all is current, or was written."""
    found = outdated(ROOT)
    if arguments == ["--check"]:
        for path in found:
            print(f"{path} is out of date: run `python -m scripts.events`.")
        return len(found)
    for path, text in documents(ROOT).items():
        (ROOT / path).write_text(text, encoding="utf-8")
    print(f"Written: {', '.join(map(str, found)) or 'nothing; all was current'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
