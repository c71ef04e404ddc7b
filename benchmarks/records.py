"""Run the commands whose results a report shows, and keep what they print in eoq/records.

python benchmarks/records.py                # all: an hour, half of it training
python benchmarks/records.py validation     # one of them
"""

import json
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from eoq.records import COMMANDS, FOLDER
from eoq.tool_versions import tool_versions
from reports.files import write_files

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Write the files whose commands are named, or all; the worst exit status is ours."""
    names = sys.argv[1:] or list(COMMANDS)
    worst = 0
    for name in names:
        program, *arguments = shlex.split(COMMANDS[name])
        module = ["-m", "eoq"] if program == "eoq" else []
        done = subprocess.run(
            [sys.executable, *module, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        worst = max(worst, done.returncode)
        # What fails prints its rows too and is kept: the report shows them.
        if not done.stdout.startswith("{"):
            continue
        record = {
            "command": COMMANDS[name],
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "versions": tool_versions(),
            "result": json.loads(done.stdout),
        }
        text = json.dumps(record, indent=1) + "\n"
        write_files(FOLDER, {f"{name}.json": text.encode()})
        print(f"{name}: {FOLDER / f'{name}.json'}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
