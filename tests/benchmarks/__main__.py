"""What matching, composing, tastes and search cost: `make bench`, or `python -m tests.benchmarks [subscribers]`.

Every figure of a table is taken in one run, each part in a process of its own; ratios carry over to other machines,
seconds do not. Papers are the recorded ones where there are any, invented ones otherwise.
"""

import os
import subprocess
import sys

SUBSCRIBERS = 50_000

if __name__ == "__main__":
    count = sys.argv[1] if len(sys.argv) > 1 else str(SUBSCRIBERS)
    for name, *arguments in (["digests", count], ["tastes"], ["search"]):
        command = [sys.executable, "-m", f"tests.benchmarks.{name}", *arguments]
        if code := subprocess.run(command, env=os.environ, check=False).returncode:
            sys.exit(code)
