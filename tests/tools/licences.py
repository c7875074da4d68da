"""Checks every dependency of the given workspaces against deny.toml: its licence, its source, the banned ones.

    python3 tests/tools/licences.py Cargo.toml plugins/Cargo.toml

Reads the keys of cargo-deny's format that deny.toml uses (licenses.allow and licenses.exceptions, bans.deny,
sources.allow-registry, graph.targets) over `cargo metadata`. The crate graph is the resolved one, so a dependency that
is in the lock file but never built for one of the targets does not count. Advisories are not checked here: that needs
a database which is kept elsewhere.
"""

import json
import re
import subprocess
import sys
import tomllib


def tokens(expression: str) -> list[str]:
    # "MIT/Apache-2.0" is the old spelling of OR.
    return re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))


def allowed(expression: str, allow: set[str]) -> bool:
    """Whether an SPDX expression can be satisfied by allowed licences only. AND binds tighter than OR."""
    words = tokens(expression)
    place = 0

    def either() -> bool:
        nonlocal place
        value = both()
        while place < len(words) and words[place].upper() == "OR":
            place += 1
            value = both() or value
        return value

    def both() -> bool:
        nonlocal place
        value = one()
        while place < len(words) and words[place].upper() == "AND":
            place += 1
            value = one() and value
        return value

    def one() -> bool:
        nonlocal place
        if place >= len(words):
            raise ValueError("ends too early")
        word = words[place]
        place += 1
        if word == "(":
            value = either()
            if place >= len(words) or words[place] != ")":
                raise ValueError("a parenthesis is not closed")
            place += 1
            return value
        if place + 1 < len(words) and words[place].upper() == "WITH":
            word = f"{word} WITH {words[place + 1]}"
            place += 2
        return word in allow

    value = either()
    if place != len(words):
        raise ValueError(f"unexpected {words[place]!r}")
    return value


def check(manifest: str, rules: dict) -> tuple[int, list[str]]:
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--manifest-path", manifest]
    for target in rules.get("graph", {}).get("targets", []):
        command += ["--filter-platform", target]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    resolved = {node["id"] for node in metadata["resolve"]["nodes"]}
    allow = set(rules["licenses"]["allow"])
    exceptions = {e["name"]: set(e["allow"]) for e in rules["licenses"].get("exceptions", [])}
    banned = {entry["name"] for entry in rules["bans"]["deny"]}
    registries = {f"registry+{url}" for url in rules["sources"]["allow-registry"]}
    wrong = []
    for package in metadata["packages"]:
        if package["id"] not in resolved:
            continue
        name = f"{package['name']} {package['version']}"
        licence = package["license"]
        if not licence:
            wrong.append(f"{name}: states no licence")
        else:
            try:
                if not allowed(licence, allow | exceptions.get(package["name"], set())):
                    wrong.append(f"{name}: its licence is {licence}")
            except ValueError as error:
                wrong.append(f"{name}: its licence {licence!r} cannot be read: {error}")
        if package["name"] in banned:
            wrong.append(f"{name}: banned by deny.toml")
        if package["source"] is not None and package["source"] not in registries:
            wrong.append(f"{name}: comes from {package['source']}")
    return len(resolved), wrong


def main() -> int:
    for expression, expected in [
        ("MIT OR GPL-3.0", True), ("MIT AND GPL-3.0", False), ("(MIT OR GPL-3.0) AND Apache-2.0", True),
        ("GPL-3.0", False), ("MIT/Apache-2.0", True), ("Apache-2.0 WITH LLVM-exception", False),
        ("GPL-3.0 OR MIT AND Apache-2.0", True),
    ]:
        if allowed(expression, {"MIT", "Apache-2.0"}) is not expected:
            raise AssertionError(f"the licence check itself is wrong about {expression}")
    with open("deny.toml", "rb") as file:
        rules = tomllib.load(file)
    failed = False
    for manifest in sys.argv[1:]:
        count, wrong = check(manifest, rules)
        for line in wrong:
            print(f"licences: {line}", file=sys.stderr)
        failed |= bool(wrong)
        print(f"licences: {manifest}: {count} crates checked, {len(wrong)} refused")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
