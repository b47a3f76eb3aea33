"""Play the faults of sending and of messages at full size: `python -m tests.faults [--quick] [--write]`.

It prints what came of each; `--write` puts the table into the README. At full size it takes some twenty minutes;
`--quick` is what `make test` runs.
"""

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
START, END = "<!-- faults -->", "<!-- /faults -->"
WORDS = {
    "S1": "`kill -9` of a sending process, at random moments",
    "S1, 200 kills": "the same, 200 times in one run",
    "S2": "`kill -9` of every worker, then a new start",
    "S3": "SIGTERM during a run (seconds: until it ended)",
    "S4": "Redis forgets everything",
    "S6": "a Redis that evicts keys: workers do not start",
    "S7": "the database drops every connection, again and again",
    "S8": "the database's disk is full",
    "S9": "fifty triggers at once, two workers",
    "S10": "the scheduler is three hours late",
    "S11": "a task is delivered twice",
    "S13": "30 % of recipients are put off three times",
    "S14": "5 % of recipients are refused for good",
    "S15": "the sender is refused; a person resumes",
    "S16": "the server closes connections again and again",
    "S17": "the connection drops after the final dot, 1 %",
    "S18": "the server hangs",
    "S19": "the server takes two seconds a message",
    "S20": "a mail service answers 429, 500, nonsense, or not at all",
    "S21": "the first way is down, a second is there",
    "S22": "a paper or a letter cannot be rendered: its letters fail",
    "S23": "paused twenty times, or cancelled, midway",
    "S24": "readers leave a second before their letter",
    "S25": "readers are deleted or move midway",
    "S26": "limits: 50 a second in all, 5 for one domain, three workers",
    "S27": "clocks jump; a living worker is taken for dead elsewhere",
    "S28": "soak",
    "S29": "a million readers beside three million letters of the past (seconds: to queue them)",
    "S30": "rolling deploy: workers of the version before beside new ones",
    "S31": "a backup is restored midway: a person decides",
    "S32": "rows are damaged: the reckoning finds each",
    "M1": "hostile names and texts: every header once, one Message-ID for all tries",
    "M2": "DKIM on a relay covers the way out; eight alterations are noticed",
    "M3": "the largest digests: HTML up to 90,000 bytes, lines up to 998",
    "M4": "the text part has the way out",
    "M5": "no letter tells of another reader",
    "M6": "CR, LF, NUL in every field; impossible addresses fail alone",
    "M7": "ends of a letter inside a letter (SMTP smuggling) arrive as text",
    "M8": "addresses beyond ASCII are taken whole or refused at sign-up",
    "M9": "template syntax stands there as it was written",
    "M10": "a run as CSV has no formulas",
    "W1": "programs fetch every link of a digest and of an opt-in letter (fetches; lost: changes)",
    "W2": "one-click leaving, a hundred times (posts)",
    "W3": "leaving with wrong, foreign, old-keyed and bent links (posts; lost: accepted)",
    "W4": "an old link to leave after coming back; a confirmation after leaving",
    "W5": "a forwarded letter's links used to export, erase, move (tries; lost: accepted)",
    "W6": "is this address known? (answers; lost: that differ)",
    "W7": "guessing links (guesses; lost: hits)",
    "W8": "open redirects (tries; lost: redirected)",
    "W9": "posts and frames of other sites (tries; lost: accepted)",
    "W10": "list bombing of one mailbox (posts; duplicated: letters beyond the limit)",
    "W11": "list bombing of many mailboxes, one proof of work replayed (posts; duplicated: letters beyond 100)",
    "W12": "the same by a patient bot that fills in no trap",
    "W13": "the same around the form: plain, framed, JSON",
    "W14": "names that are texts or links (letters; lost: echoed)",
    "W15": "forged, old, repeated and huge reports (requests; lost: believed)",
    "W16": "reports of a hard bounce for everybody (lost: suppressed)",
    "W17": "forged bounces, auto-replies, huge mail (mails; lost: suppressed)",
    "W18": "the policy on bounces (histories; lost: judged otherwise)",
    "W19": "guessing passwords and codes of staff (tries; lost: let through beyond ten in a quarter of an hour)",
    "W20": "what a curator writes, on each page of the desk and the site (pages; lost: that ran)",
    "W21": "asking for what is nobody's to ask for (posts; lost: granted)",
    "W22": "a list of readers with every fault (lines; lost: suppressed or gone readers brought back)",
    "W23": "forged addresses of origin (posts; duplicated: letters beyond the limit)",
    "W24": "database, Redis, mail server and scheduler stopped, one at a time (parts; seconds: until named)",
    "W25": "secrets in logs, admin and error pages (places; lost: found)",
}


def words(row):
    """What is broken: as told above, or by the name of the test."""
    if row["row"] == "S5":
        return f"Redis is {row['note'].partition(';')[0]}"
    test = row.get("test", "").rpartition("::")[2].partition("[")[0]
    return WORDS.get(row["row"]) or " ".join(test.split("_")[2:]) or row["row"]


def place(row):
    """S2 before S10, and S before M before W; several kinds of one fault together."""
    name = row["row"].partition(",")[0]
    return "SMW".index(name[0]), int(name[1:]), words(row)


def main(arguments):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures"
        nightly = {} if "--quick" in arguments else {"PAPERBOY_NIGHTLY": "1"}
        files = [f"tests/faults/test_{name}.py" for name in ("delivery", "messages", "web", "staff")]
        files += ["tests/digest/test_staff.py", "tests/journeys/test_staff.py"]
        command = [sys.executable, "-m", "pytest", "-q", *files]
        code = subprocess.run(
            command, env=os.environ | nightly | {"PAPERBOY_FAULTS": str(file)}, check=False
        ).returncode
        rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    text = table(rows, how="python -m tests.faults --quick --write" if "--quick" in arguments else "make faults")
    print(text)
    if "--write" in arguments and code == 0:
        readme = README.read_text()
        before, after = readme.index(START) + len(START), readme.index(END)
        README.write_text(f"{readme[:before]}\n{text}{readme[after:]}")
    return code


def table(rows, *, how):
    """One line a fault; kinds of the same fault are added up, and the slowest to recover counts."""
    lines = [
        "| | fault | letters | lost | duplicated | uncertain (allowed) | settled after, s |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for (_, _, what), some in groupby(sorted(rows, key=place), key=place):
        kinds = list(some)
        name = kinds[0]["row"].partition(",")[0]
        figures = ("letters", "lost", "duplicated", "uncertain", "allowed")
        letters, lost, duplicated, uncertain, allowed = (sum(row[key] or 0 for row in kinds) for key in figures)
        seconds = max((row["seconds"] for row in kinds if row["seconds"] is not None), default=None)
        many = f", {len(kinds)} kinds" if len(kinds) > 1 else ""
        after = "–" if seconds is None else f"{seconds:,.0f}{' simulated' if kinds[0]['simulated'] else ''}"
        counts = f"{letters:,} | {lost} | {duplicated} | {uncertain} ({allowed})"
        lines.append(f"| {name} | {what}{many} | {counts} | {after} |")
    day = datetime.now(UTC).date()
    again = "`PAPERBOY_NIGHTLY=1 .venv/bin/python -m pytest tests/faults -k s17`"
    return "\n".join(lines) + f"\n\nMeasured {day} by `{how}`; one row alone: {again}.\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
