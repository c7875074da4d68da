"""What the documents name is there: files and folders of the repository.   python3 -m unittest discover -s tests/tools -p '*_test.py'"""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "engine", "openapi", "plugins", "sdk", "tests", "wit")


def paths(text: str) -> set[str]:
    """The repository's paths between backticks. One with a placeholder (`<facade>`), a star or something of a guest's own is none."""
    found = set()
    for quoted in re.findall(r"`([^`\s]+)`", text):
        if not quoted.startswith(tuple(f"{folder}/" for folder in FOLDERS)) or re.search(r"[<>*:…]", quoted):
            continue
        before, opened, rest = quoted.partition("{")
        choices, _, after = rest.partition("}")
        found |= {before + choice + after for choice in choices.split(",")} if opened else {quoted}
    return found


def links(text: str) -> set[str]:
    """Where links lead that stay in the repository."""
    targets = (target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text))
    return {target for target in targets if target and "://" not in target}


class Documents(unittest.TestCase):
    def test_the_paths_that_they_name_exist(self) -> None:
        missing = []
        for file in [ROOT / "ARCHITECTURE.md", ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]:
            text = file.read_text()
            name = file.relative_to(ROOT)
            missing += [f"{name}: {path}" for path in sorted(paths(text)) if not (ROOT / path).exists()]
            missing += [f"{name}: {link}" for link in sorted(links(text)) if not (file.parent / link).exists()]
        self.assertEqual([], missing)

    def test_paths_are_whole(self) -> None:
        """A path that begins inside a crate would not be looked for."""
        crates = sorted(folder.name for folder in (ROOT / "engine").iterdir() if folder.is_dir())
        short = re.compile(rf"`(?:{'|'.join([*crates, 'commands', 'model', 'ports'])})/[^`\s]+`")
        found = []
        for file in [ROOT / "ARCHITECTURE.md", ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]:
            found += [f"{file.relative_to(ROOT)}: {path}" for path in short.findall(file.read_text())]
        self.assertEqual([], found)

    def test_each_kind_of_event_is_in_the_tables_for_authors(self) -> None:
        world = (ROOT / "wit/automation/automation.wit").read_text()
        kinds = [kind.strip() for kind in re.search(r"enum event-kind \{([^}]*)\}", world)[1].split(",") if kind.strip()]
        self.assertIn("message-received", kinds)
        for document in ("docs/automations/integration-webhook.md",):
            text = (ROOT / document).read_text()
            self.assertEqual([], [kind for kind in kinds if f"| `{kind}` |" not in text], document)
        # The reference for authors names handlers, one row for each kind.
        _, table = (ROOT / "sdk/README.md").read_text().split("| event | TypeScript | Python | Rust |\n|---|---|---|---|\n")
        rows = table.split("\n\n")[0].splitlines()
        self.assertEqual(len(kinds), len(rows), "sdk/README.md")

    def test_a_path_is_recognised(self) -> None:
        text = "`engine/a/{b,c}.rs`, `engine/<facade>/x.rs`, `GET /v1`, `tests/x*`, `target/docs/x` [here](../x.md#y) [there](https://a.b)"
        self.assertEqual({"engine/a/b.rs", "engine/a/c.rs"}, paths(text))
        self.assertEqual({"../x.md"}, links(text))


if __name__ == "__main__":
    unittest.main()
