#!/usr/bin/env python3
"""Writes docs/SCENARIO.md from schema/*.json and the introduction beside this script.

Run it after a change to the schema: tools/schema/make_reference.py
"""

import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SCHEMA = ROOT / "schema"
WITHOUT_EFFECT = "config.json: without effect"


def Load(name):
    return json.loads((SCHEMA / name).read_text(encoding="utf-8"))


def Resolve(schema):
    """Follows `common.json#/$defs/NAME`; references to whole files stay."""
    reference = schema.get("$ref", "")
    if reference.startswith("common.json#/$defs/"):
        return {**Load("common.json")["$defs"][reference.rsplit("/", 1)[1]], **schema}
    return schema


def TypeOf(schema):
    reference = schema.get("$ref", "")
    if reference.startswith("common.json#/$defs/"):
        name = reference.rsplit("/", 1)[1].replace("_", " ")
        if name == "confidence":
            return TypeOf(Load("common.json")["$defs"]["confidence"])
        return {"link": "a link", "sources": "list of texts", "share": "share, e.g. `5%`"}.get(name, name)
    if reference:
        return "mapping"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(TypeOf(option) for option in schema["anyOf"])).replace("text or mapping", "name, path or mapping")
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "text")
    if kind == "array":
        return f"list of {TypeOf(schema['items']).split(',')[0]}s" if "items" in schema else "list"
    if isinstance(kind, list):
        return "text or number" if kind != ["string", "number"] else "text"
    if kind in ("integer", "number"):
        low, high = schema.get("minimum"), schema.get("maximum")
        span = f", {low:,} to {high:,}" if high is not None and high < 1e9 else f", from {low}" if low not in (None, 0) else ""
        return {"integer": "whole number", "number": "number"}[kind] + span
    return {"string": "text", "boolean": "true or false", "object": "mapping"}[kind]


def DefaultOf(schema, required):
    if "default" in schema:
        value = schema["default"]
        return f"`{str(value).lower() if isinstance(value, bool) else value}`"
    return "required" if required else ""


def Cell(text):
    return text.replace("\n", " ")


def Rows(schema, path):
    """The rows of one mapping, then those of the mappings in it."""
    nested = []
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, child in schema["properties"].items():
        if child.get("description") == WITHOUT_EFFECT:
            continue
        # x-required: needed in the end, but a sweep, a table or the command line may bring it.
        required = key in schema.get("required", []) + schema.get("x-required", [])
        lines.append(f"| `{key}` | {TypeOf(child)} | {DefaultOf(child, required)} | {Cell(child.get('description', ''))} |")
        options = child.get("anyOf", [child])
        for option in options + [option["items"] for option in options if "items" in option]:
            if "properties" in option:
                nested.append((f"{path}.{key}" if path else key, option))
    yield path, lines
    for name, option in nested:
        yield from Rows(option, name)


def Section(title, file):
    schema = Load(file)
    out = [f"## {title}", "", schema.get("description", "") + ".", ""]
    for path, lines in Rows(schema, ""):
        if path:
            out += [f"### `{path}`", ""]
        out += lines + [""]
    ignored = [key for key, child in schema["properties"].items() if child.get("description") == WITHOUT_EFFECT]
    if ignored:
        out += ["Let through, without effect: " + ", ".join(f"`{key}`" for key in ignored) + ".", ""]
    return out


def main():
    text = (pathlib.Path(__file__).parent / "introduction.md").read_text(encoding="utf-8").rstrip().splitlines()
    text.append("")
    text += Section("Scenario", "scenario.json")
    text += Section("Model", "model.json")
    text += Section("Hardware", "hardware.json")
    text += Section("Accelerator", "accelerator.json")
    text += Section("Node", "node.json")
    text += Section("Fabric", "fabric.json")
    link = Load("common.json")["$defs"]["link"]
    text += ["## Link", "", link["description"] + ".", ""] + next(iter(Rows(link, "")))[1]
    (ROOT / "docs" / "SCENARIO.md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
