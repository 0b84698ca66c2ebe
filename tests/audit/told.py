"""What the audit says of each script, to the letter: `XENT_RECORD_SCREENS=1 pytest tests/audit` records.

A record holds a part for each script: ``### NAME``, then its report as people see it with its
notes. Nothing is recorded for a report without findings in which all was followed.
"""

import os

from screens import plain

NOTHING = "0 findings; "
ALL_FOLLOWED = "; not followed: nothing"


def check(record, name, report, script):
    """Compare a report of a script with what a record says of it; or record it."""
    said = "\n".join(plain(str(report).replace(str(script), script.name)))
    if said.startswith(NOTHING) and said.endswith(ALL_FOLLOWED):
        said = ""
    known = recorded(record)
    if os.environ.get("XENT_RECORD_SCREENS"):
        known[name] = said
        record.write_text("".join(f"### {one}\n{text}\n" for one, text in known.items() if text))
    assert said == known.get(name, "")


def recorded(record):
    """Return what a record says of each script, by its name."""
    parts = record.read_text().split("### ")[1:]
    return {name: text.rstrip("\n") for name, _, text in (part.partition("\n") for part in parts)}
