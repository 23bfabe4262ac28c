#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""servers-doc.py [--check] - make docs/SERVERS.md from the catalog: for every server and event what is counted, where,
and what is not. With --check: exit 1 if the file is not what would be made.

What people need to know of an event stands in [note] or in the `note` of a row, what cannot be seen in [[limit]]; where a row is, is told from
the row itself.
"""
import collections
import pathlib
import re
import sys
import tomllib

REPO = pathlib.Path(__file__).resolve().parents[1]
CATALOG = REPO / "src/catalog"
PAGE = REPO / "docs/SERVERS.md"

INTRO = """\
# What is counted on each server
One name means the same on every server. This page says when an event is counted on each, at which functions, and what cannot be seen. It is made from the catalog by `scripts/servers-doc.py`; `mailgauge plan` shows the probes of the servers of this host, file by file.

Where two servers work together both count: Postfix that asks Dovecot to check a login has its own `auth.success{server="postfix"}`, and Dovecot's auth process one with `server="dovecot"`. See [METRICS.md](METRICS.md) for how to sum.
"""


def listed(value):
    return [] if value is None else value if isinstance(value, list) else [value]


def moved(rule, choices):
    """The events that a rule (or a row that is its own rule) moves."""
    yield from listed(rule.get("event"))
    for key in ("count", "add", "subtract", "hold", "release"):
        yield from listed(rule.get(key))
    yield from rule.get("observe", {})
    for choice in rule.get("choose", {}):
        yield from choices[choice].values()


def labels(rule):
    return {*rule.get("labels", {}), *rule.get("by", {})}


def rules(row):
    return row.get("rules", [row])


def place(row, objects):
    """Where a row is, in a few words."""
    if "exit" in row:
        return f"the end of a process that holds `{row['exit']}`"
    file = ", ".join(objects[row["object"]]["file"].strip("*").removeprefix("@(").removesuffix(")").split("|"))
    if "call" in row:
        return f"{file}: calls of `{row['call']}`"
    end = ", its return" if row.get("when") == "return" else ""
    if "stub" in row:
        return f"{file}: `{row['stub']}` as it is called from there{end}"
    return f"{file}: `{listed(row.get('symbol', row.get('function')))[0]}`{end}"


SENTENCE = re.compile(r"(?<=[.!?]) +(?=[A-Za-z`*])")
SUBJECT = re.compile(r"([a-z0-9-]+\.[a-z0-9-]+)\b")


def about(note, event, known):
    """What of a note concerns this event: a sentence that begins with an event's name ("auth.error: ...") begins what is
    said of that one; what stands before is of all that is counted, but not of gauges and histograms."""
    subject, kept = None, []
    mine = (None, event) if known[event].get("kind", "counter") == "counter" else (event,)
    for sentence in SENTENCE.split(note.strip()):
        begins = SUBJECT.match(sentence)
        if begins and begins[1] in known:
            subject = begins[1]
            if sentence.startswith(f"{event}: "):
                sentence = sentence.removeprefix(f"{event}: ")
                sentence = sentence[0].upper() + sentence[1:]
        if subject in mine:
            kept.append(sentence)
    return " ".join(kept)


class Event:
    def __init__(self):
        self.labels, self.notes, self.places, self.limits = set(), [], [], []


def put(where, what):
    """Once, and only if there is anything."""
    if what and what not in where:
        where.append(what)


def events_of(catalog, known):
    choices = catalog.get("choice", {})
    found = collections.defaultdict(Event)
    for row in catalog["probe"]:
        for rule in rules(row):
            for name in moved(rule, choices):
                event = found[name]
                if name not in listed(rule.get("hold")) + listed(rule.get("release")):
                    event.labels |= labels(rule)
                put(event.notes, about(row.get("note", ""), name, known))
                put(event.places, place(row, catalog["object"]))
    for directory in catalog.get("directory", []):
        event = found[directory["event"]]
        event.labels |= {*directory.get("labels", {})}
        put(event.places, f"files in `{directory['path']}`")
    for seed in catalog.get("seed", []):
        put(found[seed["event"]].places, f"sockets of {', '.join(listed(seed['who']))} at the start")
    for name, note in catalog.get("note", {}).items():
        put(found[name].notes, note)
    for limit in catalog.get("limit", []):
        for name in limit.get("events", []):
            put(found[name].limits, limit["text"])
    return found


def cell(texts):
    return " ".join(text.rstrip(".") + "." for text in texts).replace("|", "\\|")


def vocabulary():
    kinds = {}
    for family, names in tomllib.loads((CATALOG / "events.toml").read_text()).items():
        if family == "bounds":
            continue
        for name, about in names.items():
            kinds[f"{family}.{name}"] = about if isinstance(about, dict) else {"help": about}
    return kinds


def page():
    kinds = vocabulary()
    text = [INTRO]
    for file in sorted(CATALOG.glob("*.toml")):
        if file.name == "events.toml":
            continue
        catalog = tomllib.loads(file.read_text())
        server = catalog["server"]
        text += [f"## {server.get('title', server['name'])}", server.get("about", ""), ""]
        text += ["| event | counted when | where | not seen |", "|---|---|---|---|"]
        for name, event in sorted(events_of(catalog, kinds).items()):
            kind = kinds[name].get("kind", "counter")
            head = f"`{name}`" + (f", {kind}" if kind != "counter" else "")
            if event.labels:
                head += "; by " + ", ".join(f"`{label}`" for label in sorted(event.labels))
            adds = kind != "counter" or not event.notes or event.notes[0].startswith(("Also ", "Per ", "Only "))
            told = [kinds[name]["help"]] if adds else []
            counted = cell(told + event.notes)
            text.append(f"| {head} | {counted} | {'; '.join(event.places)} | {cell(event.limits)} |")
        general = [limit["text"] for limit in catalog.get("limit", []) if not limit.get("events")]
        if general:
            text += ["", "Not seen at all, or otherwise than one might think:", ""]
            text += [f"- {limit}" for limit in general]
        text.append("")
    return "\n".join(text)


def main():
    wanted = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted)
    elif not PAGE.exists() or PAGE.read_text() != wanted:
        sys.exit("docs/SERVERS.md is not what scripts/servers-doc.py makes of the catalog: run `make docs`")


if __name__ == "__main__":
    main()
