"""bench/results.json, the last complete run of every benchmark, and the tables that are printed."""

import datetime
import json
import os
import subprocess
from pathlib import Path

import machine

REPOSITORY = Path(__file__).resolve().parent.parent
FILE = REPOSITORY / "bench" / "results.json"


def commit():
    """The commit that was measured, with `-dirty` where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def save(file, name, command, versions, figures):
    """Puts one benchmark's figures into the file, in place of its earlier ones; those of others stay."""
    everything = json.loads(file.read_text()) if file.exists() else {}
    everything[name] = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "machine": machine.describe(),
        "versions": versions,
        **figures,
    }
    aside = file.with_name(file.name + ".new")
    aside.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n")
    os.replace(aside, file)


def print_table(header, rows):
    """Columns of equal width: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        print("  ".join(cells).rstrip())
