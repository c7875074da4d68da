"""Shows what changed in the documents of openapi/ besides their texts: descriptions and summaries.

    python3 tests/tools/openapi_shape.py REVISION   against the documents of that commit; ends with 1 when something else changed

Texts are for people; everything else is what clients are generated from.
"""

import difflib
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ("description", "summary")


def shape(document):
    """The document without its texts. A schema's own field may have such a name: only strings are texts."""
    if isinstance(document, dict):
        texts = {key for key in TEXTS if isinstance(document.get(key), str)}
        return {key: shape(value) for key, value in document.items() if key not in texts}
    if isinstance(document, list):
        return [shape(item) for item in document]
    return document


def lines(text: str) -> list[str]:
    return json.dumps(shape(json.loads(text)), indent=1, sort_keys=True, ensure_ascii=False).splitlines()


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    changed = False
    for file in sorted((ROOT / "openapi").glob("*.json")):
        name = f"openapi/{file.name}"
        before = subprocess.run(["git", "show", f"{sys.argv[1]}:{name}"], cwd=ROOT, capture_output=True, text=True)
        if before.returncode != 0:
            print(f"{name} is new")
            continue
        difference = list(difflib.unified_diff(lines(before.stdout), lines(file.read_text()), name, name, lineterm="", n=3))
        print("\n".join(difference) if difference else f"{name}: only texts changed")
        changed = changed or bool(difference)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
