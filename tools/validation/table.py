"""A reference table: rows of settings and measured values, written as a scenario template and a CSV beside it.

Settings are dotted keys of the scenario format with their values as YAML text. What every row shares goes to the
template, what differs becomes a column; so a template says what a source held fixed.
"""

import csv
import io
import textwrap

GENERATED = "Written by tools/validation/make_tables.py from the source's table; edit that, not this."

# The order in which settings appear in a template and as columns.
SECTIONS = ("model", "cluster", "training", "parallelism")


class Row:
    """One published run. `settings` and `expect` map keys to values; `exclude` says why a row is not run."""

    def __init__(self, identity, settings, expect, note="", exclude="", source="", tolerance=""):
        self.id = identity
        self.settings = {key: Text(value) for key, value in settings.items() if value not in (None, "")}
        self.expect = {key: Text(value) for key, value in expect.items() if value not in (None, "")}
        self.note = " ".join(note.split())
        self.exclude = " ".join(exclude.split())
        self.source = " ".join(source.split())
        self.tolerance = tolerance


class Table:
    """`comments` maps a dotted key of the template to the comment beside it, usually the value's source."""

    def __init__(self, name, title, source, about, rows, comments=None, tolerance="15%"):
        self.name = name
        self.title = title
        self.source = source
        self.about = about
        self.rows = rows
        self.comments = comments or {}
        self.tolerance = tolerance
        self.shared = Shared(rows)

    def Included(self):
        return [row for row in self.rows if not row.exclude]

    def Excluded(self):
        return [row for row in self.rows if row.exclude]

    def Template(self):
        lines = [f"# {line}".rstrip() for line in Wrapped(self.about)]
        lines += ["#", f"# {GENERATED}", f"title: {Quoted(self.title)}"]
        tree = {}
        for key, value in sorted(self.shared.items(), key=lambda item: KeyOrder(item[0])):
            node = tree
            *path, last = key.split(".")
            for part in path:
                node = node.setdefault(part, {})
            node[last] = (value, self.comments.get(key))
        Render(tree, 0, lines)
        lines += ["reference:", f"  source: {Quoted(self.source)}", f"  table: {self.name}.csv",
                  f"  tolerance: {self.tolerance}"]
        return "\n".join(lines) + "\n"

    def Csv(self):
        keys = {key for row in self.rows for key in row.settings} - set(self.shared)
        keys = sorted(keys, key=KeyOrder)
        metrics = sorted({f"expect.{key}" for row in self.rows for key in row.expect}, key=MetricOrder)
        extra = [name for name in ("tolerance", "exclude", "source", "note")
                 if any(getattr(row, name) for row in self.rows)]
        out = io.StringIO()
        out.write(f"# {GENERATED}\n")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["id"] + keys + metrics + extra)
        for row in self.rows:
            writer.writerow([row.id] + [row.settings.get(key, "") for key in keys]
                            + [row.expect.get(metric.removeprefix("expect."), "") for metric in metrics]
                            + [getattr(row, name) for name in extra])
        return out.getvalue()

    def Write(self, folder):
        (folder / f"{self.name}.yaml").write_text(self.Template(), encoding="utf-8")
        (folder / f"{self.name}.csv").write_text(self.Csv(), encoding="utf-8")


def Text(value):
    """A value as YAML text: true and false in lower case, numbers without noise."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value >= 1e6 and value.is_integer() else f"{value:.6g}"
    return str(value)


def Shared(rows):
    """Settings that all included rows have and no row contradicts."""
    included = [row for row in rows if not row.exclude] or rows
    shared = dict(included[0].settings)
    for row in included[1:]:
        shared = {key: value for key, value in shared.items() if row.settings.get(key) == value}
    for row in rows:
        shared = {key: value for key, value in shared.items() if row.settings.get(key, value) == value}
    return shared


def KeyOrder(key):
    section = key.split(".")[0]
    place = SECTIONS.index(section) if section in SECTIONS else len(SECTIONS)
    first = ("name", "model_type", "hardware", "gpus")
    last = key.rsplit(".", 1)[-1]
    return (place, first.index(last) if last in first else len(first), key)


def MetricOrder(metric):
    order = ("expect.status", "expect.step_time_s")
    return (order.index(metric) if metric in order else len(order), metric)


def Wrapped(text):
    """Paragraphs as lines of at most 118 characters; a line that ends a sentence ends its paragraph."""
    lines, paragraph = [], []
    for line in text.strip().splitlines():
        paragraph.append(line.strip())
        if line.rstrip().endswith("."):
            lines += textwrap.wrap(" ".join(paragraph), 118)
            paragraph = []
    return lines + textwrap.wrap(" ".join(paragraph), 118)


def Quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def Render(node, depth, lines):
    indent = "  " * depth
    for key, value in node.items():
        if isinstance(value, dict):
            lines.append(f"{indent}{key}:")
            Render(value, depth + 1, lines)
        else:
            text, comment = value
            lines.append(f"{indent}{key}: {text}" + (f"  # {comment}" if comment else ""))
