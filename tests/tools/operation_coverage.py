"""Checks that every operation of the documents in openapi/ succeeded in some test.

    python3 tests/tools/operation_coverage.py --begin   before the tests: forgets what earlier runs did
    python3 tests/tools/operation_coverage.py           after them: names the operations that no test called with success
    python3 tests/tools/operation_coverage.py --write   writes those into tests/tools/operations.untested (which may only shrink)

The end-to-end tests keep what succeeded in the target folder (tests/src/operations.rs). What schemathesis calls does not count. An
operation on the list that a test has called fails as well: take it off the list.
"""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNTESTED = Path(__file__).with_name("operations.untested")
HEADER = "# Operations that no written test calls with success: a facade, an operation. This list may only shrink: operation_coverage.py.\n"


def kept() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "operations.txt"


def documented(folder: Path) -> set[str]:
    """Every operation: its facade and its id."""
    found = set()
    for file in sorted(folder.glob("*.json")):
        for methods in json.loads(file.read_text())["paths"].values():
            found |= {f"{file.stem} {operation['operationId']}" for operation in methods.values()
                      if isinstance(operation, dict) and "operationId" in operation}
    return found


def lines(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")}


def faults(documented: set[str], succeeded: set[str], untested: set[str]) -> list[str]:
    """What is wrong, a line each."""
    missing = [f"{name}: no test calls it with success" for name in sorted(documented - succeeded - untested)]
    done = [f"{name}: a test calls it now; take it off {UNTESTED.name}" for name in sorted(untested & succeeded & documented)]
    gone = [f"{name}: no document has it; take it off {UNTESTED.name}" for name in sorted(untested - documented)]
    return missing + done + gone


def main() -> None:
    if "--begin" in sys.argv:
        kept().unlink(missing_ok=True)
        return
    if not kept().exists():
        sys.exit(f"{kept()} is not there: run the end-to-end tests first")
    all_of_them, succeeded = documented(ROOT / "openapi"), lines(kept().read_text())
    if "--write" in sys.argv:
        UNTESTED.write_text(HEADER + "".join(f"{name}\n" for name in sorted(all_of_them - succeeded)))
        return
    found = faults(all_of_them, succeeded, lines(UNTESTED.read_text()))
    print("\n".join(found) or f"each of {len(all_of_them)} operations succeeded in a test, or is on the list")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
