"""Checks that the files of an engine crate do not depend on each other in circles, and that sections of a facade stay apart.

    python3 tests/tools/circles.py            check against tests/tools/circles.allowed
    python3 tests/tools/circles.py --explain  list each circle with its arrows, and the arrows that open it when one is taken away
    python3 tests/tools/circles.py --write    write the circles as they are into the list (which may only shrink)

An arrow leads from a file to the file that defines what it names: in a `use` line, or in a path that starts with `crate`, `super`,
`self`, a child module or an imported module. Re-exports are followed to the definition. Tests do not count. A parent and its children
may know each other; any other set of files in which each leads to each is a circle.

For facades (`engine/facades/*`): a file with operations (`#[OpenApi]`) is a section. A section, with the files below it, imports no
other section; what several sections use stands in a file of its own, or above them. And no facade's manifest names another facade.
"""

import re
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = Path(__file__).with_name("circles.allowed")
HEADER = """\
# What circles.py found and nobody has opened yet; this list may only shrink. A crate's folder, then the files of a circle, or an import
# from one section of a facade to another.
"""

ModulePath = tuple[str, ...]


@dataclass
class Module:
    """A module: a file's own, or one written inside a file."""

    path: ModulePath
    file: Path
    children: dict[str, "Module"] = field(default_factory=dict)
    #: Names that `use` lines bring into it, with the path behind each.
    imported: dict[str, ModulePath] = field(default_factory=dict)
    globs: list[ModulePath] = field(default_factory=list)
    items: set[str] = field(default_factory=set)
    #: Paths that it names, with the line.
    named: list[tuple[ModulePath, int]] = field(default_factory=list)
    has_operations: bool = False


def without_texts(source: str) -> str:
    """The source with comments and literals blanked out; lines keep their numbers."""
    pattern = re.compile(
        r"""//[^\n]*|/\*.*?\*/|\br(?P<hashes>\#*)".*?"(?P=hashes)|\bb?"(?:\\.|[^"\\])*"|"(?:\\.|[^"\\])*"|'(?:\\[^\n]+?|[^'\\\n])'""",
        re.DOTALL,
    )
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), source)


def end_of_item(source: str, start: int) -> int:
    """Behind the item that starts here: behind its `;`, or behind the brace that closes it."""
    depth = 0
    for place in range(start, len(source)):
        letter = source[place]
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if depth == 0 and letter == "}" and not re.match(r"\s*(;|\.)", source[place + 1 :]):
                return place + 1
        elif letter == ";" and depth == 0:
            return place + 1
    return len(source)


def without_tests(source: str) -> str:
    """The source with the items under `#[cfg(test)]` blanked out."""
    while match := re.search(r"#\[cfg\(test\)\]", source):
        start = match.end()
        while attribute := re.match(r"\s*#\[", source[start:]):
            depth, start = 1, start + attribute.end()
            while depth:
                depth += {"[": 1, "]": -1}.get(source[start], 0)
                start += 1
        end = end_of_item(source, start)
        source = source[: match.start()] + re.sub(r"[^\n]", " ", source[match.start() : end]) + source[end:]
    return source


def use_tree(text: str, before: ModulePath = ()) -> list[tuple[ModulePath, str]]:
    """The paths of a use tree, each with the name that it is known by (`*` for a glob)."""
    text = text.strip()
    if "{" not in text:
        path, _, alias = (part.strip() for part in re.sub(r"\s+as\s+", " as ", text).partition(" as "))
        parts = before + tuple(part.strip() for part in path.split("::") if part.strip())
        if parts and parts[-1] == "self" and len(parts) > 1:
            parts = parts[:-1]
        return [(parts, alias or parts[-1])] if parts else []
    head, _, rest = text.partition("{")
    prefix = before + tuple(part.strip() for part in head.split("::") if part.strip())
    found, depth, start = [], 0, 0
    inner = rest[: rest.rindex("}")] + ","
    for place, letter in enumerate(inner):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            if inner[start:place].strip():
                found += use_tree(inner[start:place], prefix)
            start = place + 1
    return found


ITEM = re.compile(
    r"\b(?:fn|struct|enum|trait|type|union|static(?:\s+mut)?|const(?:\s+fn|\s+unsafe\s+fn)?|macro_rules!)\s+([A-Za-z_]\w*)"
)
USE = re.compile(r"\buse\s+([^;]+);")
DECLARED = re.compile(r"(?P<attributes>(?:#\[[^\]]*\]\s*)*)(?:pub(?:\([^)]*\))?\s+)?\bmod\s+(?P<name>\w+)\s*(?P<end>[;{])")
NAMED = re.compile(r"(?<![\w:.$])([A-Za-z_]\w*)((?:\s*::\s*[A-Za-z_]\w*)+)")


class Crate:
    """The modules of a crate, and the arrows between its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        source = folder / "src"
        self.root_file = source / "lib.rs" if (source / "lib.rs").exists() else source / "main.rs"
        self.modules: list[Module] = []
        self.root = self._load(self.root_file, ())
        self.arrows: dict[Path, dict[Path, int]] = {}
        for module in self.modules:
            self.arrows.setdefault(module.file, {})
            for path, line in module.named:
                target = self.resolve(path, module)
                if target is not None and target.file != module.file:
                    self.arrows[module.file].setdefault(target.file, line)

    def shown(self, file: Path) -> str:
        return str(file.relative_to(self.folder / "src"))

    def _load(self, file: Path, path: ModulePath) -> Module:
        source = without_tests(without_texts(file.read_text()))
        return self._read(source, 1, file, path, self._folder_of(file, path))

    def _folder_of(self, file: Path, path: ModulePath) -> Path:
        return file.parent if not path or file.name == "mod.rs" else file.parent / file.stem

    def _read(self, source: str, first_line: int, file: Path, path: ModulePath, folder: Path) -> Module:
        module = Module(path, file)
        self.modules.append(module)
        module.has_operations = "#[OpenApi" in source
        # Modules written in the file are read on their own and blanked out here.
        position = 0
        while match := DECLARED.search(source, position):
            name = match["name"]
            if match["end"] == ";":
                position = match.end()
                child = next((f for f in (folder / f"{name}.rs", folder / name / "mod.rs") if f.exists()), None)
                if child is not None:
                    module.children[name] = self._load(child, (*path, name))
                continue
            end = end_of_item(source, match.end() - 1)
            line = first_line + source.count("\n", 0, match.end())
            inside = source[match.end() : end - 1]
            module.children[name] = self._read(inside, line, file, (*path, name), folder / name)
            source = source[: match.start()] + re.sub(r"[^\n]", " ", source[match.start() : end]) + source[end:]
            position = end
        module.items = {match[1] for match in ITEM.finditer(source)}
        for match in USE.finditer(source):
            line = first_line + source.count("\n", 0, match.start())
            for parts, name in use_tree(match[1]):
                if name == "*":
                    module.globs.append(self._absolute(parts[:-1], module))
                else:
                    absolute = self._absolute(parts, module)
                    if absolute:
                        module.imported[name] = absolute
                        module.named.append((absolute, line))
        for match in NAMED.finditer(USE.sub(lambda use: re.sub(r"[^\n]", " ", use.group()), source)):
            first = match[1]
            if first in ("crate", "super", "self") or first in module.children or first in module.imported:
                parts = (first, *(part.strip() for part in match[2].split("::") if part.strip()))
                module.named.append((self._absolute(parts, module), first_line + source.count("\n", 0, match.start())))
        return module

    def _absolute(self, parts: ModulePath, module: Module) -> ModulePath:
        """The path from the crate's root; empty when it leads to another crate."""
        if not parts:
            return ()
        first, rest = parts[0], parts[1:]
        if first == "crate":
            return ("crate", *rest)
        if first == "self":
            return ("crate", *module.path, *rest)
        if first == "super":
            above = module.path[:-1]
            while rest and rest[0] == "super":
                above, rest = above[:-1], rest[1:]
            return ("crate", *above, *rest)
        if first in module.children:
            return ("crate", *module.path, *parts)
        if first in module.imported:
            return (*module.imported[first], *rest)
        return ()

    def resolve(self, path: ModulePath, asking: Module, depth: int = 0) -> Module | None:
        """The module that defines what a path names."""
        if not path or depth > 20:
            return None
        current, parts = self.root, path[1:]
        while parts:
            name, parts = parts[0], parts[1:]
            if name in current.children:
                current = current.children[name]
            elif name in current.imported and current.imported[name] != path:
                return self.resolve((*current.imported[name], *parts), asking, depth + 1) or current
            elif name not in current.items and current.globs:
                for glob in current.globs:
                    found = self.resolve((*glob, name), asking, depth + 1) if glob else None
                    if found is not None and (name in found.items or name in found.children):
                        return self.resolve((*glob, name, *parts), asking, depth + 1)
                return current
            else:
                return current
        return current

    def is_below(self, file: Path, above: Path) -> bool:
        """Whether a file's module stands below another file's."""
        if above == self.root_file:
            return file != above
        folder = above.parent if above.name == "mod.rs" else above.parent / above.stem
        return file != above and folder in file.parents

    def circles(self) -> list[list[Path]]:
        """The sets of files in which each leads to each, without those that are a parent and its children."""
        return sorted(self._circles(set(self.arrows), self.arrows), key=lambda circle: (-len(circle), circle))

    def _circles(self, files: set[Path], arrows: dict[Path, dict[Path, int]]) -> list[list[Path]]:
        found = []
        for group in connected(files, arrows):
            if len(group) == 1:
                continue
            parent = next((file for file in group if all(other == file or self.is_below(other, file) for other in group)), None)
            if parent is None:
                found.append(sorted(group))
            else:
                found += self._circles(group - {parent}, arrows)
        return found

    def openings(self, circle: list[Path]) -> list[tuple[int, Path, Path]]:
        """The arrows of a circle that leave smaller circles behind when one is taken away: the size of the largest one left."""
        found = []
        for start in circle:
            for end in self.arrows[start]:
                if end in circle:
                    arrows = {file: {to: line for to, line in ends.items() if (file, to) != (start, end)}
                              for file, ends in self.arrows.items()}
                    left = max((len(group) for group in self._circles(set(circle), arrows)), default=0)
                    if left < len(circle) - 1 or left == 0:
                        found.append((left, start, end))
        return sorted(found)


def connected(files: set[Path], arrows: dict[Path, dict[Path, int]]) -> list[set[Path]]:
    """Strongly connected components (Tarjan's algorithm, without recursion)."""
    number: dict[Path, int] = {}
    low: dict[Path, int] = {}
    open_files: list[Path] = []
    found: list[set[Path]] = []
    for first in sorted(files):
        if first in number:
            continue
        number[first] = low[first] = len(number)
        open_files.append(first)
        walk = [(first, iter(sorted(arrows[first])))]
        while walk:
            file, ends = walk[-1]
            for end in ends:
                if end not in files:
                    continue
                if end not in number:
                    number[end] = low[end] = len(number)
                    open_files.append(end)
                    walk.append((end, iter(sorted(arrows[end]))))
                    break
                if end in open_files:
                    low[file] = min(low[file], number[end])
            else:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[file])
                if low[file] == number[file]:
                    place = open_files.index(file)
                    found.append(set(open_files[place:]))
                    del open_files[place:]
    return found


def crates(root: Path) -> list[Crate]:
    manifests = [*root.glob("engine/*/Cargo.toml"), *root.glob("engine/facades/*/Cargo.toml")]
    return [Crate(manifest.parent) for manifest in sorted(manifests)]


def crossings(crate: Crate) -> dict[tuple[Path, Path], int]:
    """Where a section imports from another section: the two files, and the line."""
    sections = {module.file for module in crate.modules if module.has_operations}

    def sections_of(file: Path) -> set[Path]:
        return {section for section in sections if section == file or crate.is_below(file, section)}

    found = {}
    for start, ends in crate.arrows.items():
        for end, line in ends.items():
            own, other = sections_of(start), sections_of(end)
            strange = {section for section in other - own if not crate.is_below(section, start)}
            # A section in a room's mod.rs shares with the files of its room.
            if own and strange and not (own <= other or other <= own):
                found[start, end] = line
    return found


def faults_of_sections(crate: Crate, folder: str, allowed: set[tuple[str, str, str]]) -> list[str]:
    """Sections that import from another one and are not on the list, and lines of the list that are done."""
    found = {(folder, crate.shown(start), crate.shown(end)): line for (start, end), line in crossings(crate).items()}
    new = [f"{folder}/src/{start}:{line}: a section imports from another one, {end}: put what both use above them"
           for (_, start, end), line in found.items() if (folder, start, end) not in allowed]
    done = [f"circles.allowed: {folder}: {start} -> {end}: this import is gone; run with --write"
            for where, start, end in sorted(allowed) if where == folder and (where, start, end) not in found]
    return new + done


def faults_of_manifests(root: Path) -> list[str]:
    """Facades that depend on another facade."""
    manifests = {path: tomllib.loads(path.read_text()) for path in root.glob("engine/facades/*/Cargo.toml")}
    names = {manifest["package"]["name"] for manifest in manifests.values()}
    found = []
    for path, manifest in manifests.items():
        tables = [manifest.get(kind, {}) for kind in ("dependencies", "dev-dependencies", "build-dependencies")]
        depended = {details.get("package", name) if isinstance(details, dict) else name
                    for table in tables for name, details in table.items()}
        for name in sorted(depended & names - {manifest["package"]["name"]}):
            found.append(f"{path.relative_to(root)}: a facade depends on another one, {name}")
    return found


def read_allowed(text: str) -> tuple[list[tuple[str, frozenset[str]]], set[tuple[str, str, str]]]:
    """The list's circles, and its imports from one section to another."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    imports = {(folder.rstrip(":"), start, end) for folder, start, arrow, end in (line for line in lines if "->" in line)}
    return [(line[0].rstrip(":"), frozenset(line[1:])) for line in lines if "->" not in line], imports


def faults_of_circles(found: list[tuple[str, frozenset[str]]], allowed: list[tuple[str, frozenset[str]]]) -> list[str]:
    """Circles that are not on the list, and lines of the list that say more than there is."""
    faults = []
    for folder, circle in found:
        if not any(folder == where and circle <= known for where, known in allowed):
            faults.append(f"{folder}: these files depend on each other in a circle: {' '.join(sorted(circle))}")
    for folder, known in allowed:
        left = [circle for where, circle in found if where == folder and circle <= known]
        if left != [known]:
            now = "it is open now" if not left else "of it is left: " + "; ".join(" ".join(sorted(circle)) for circle in left)
            faults.append(f"circles.allowed: {folder}: {' '.join(sorted(known))}: {now}; run with --write")
    return faults


def main() -> None:
    everything = {str(crate.folder.relative_to(ROOT)): crate for crate in crates(ROOT)}
    facades = {folder: crate for folder, crate in everything.items() if crate.folder.parent.name == "facades"}
    found = [(folder, frozenset(map(crate.shown, circle))) for folder, crate in everything.items() for circle in crate.circles()]
    if "--explain" in sys.argv:
        for crate in everything.values():
            explain(crate)
        return
    if "--write" in sys.argv:
        circles = [f"{folder}: {' '.join(sorted(circle))}\n" for folder, circle in found]
        imports = [f"{folder}: {crate.shown(start)} -> {crate.shown(end)}\n"
                   for folder, crate in facades.items() for start, end in sorted(crossings(crate))]
        ALLOWED.write_text(HEADER + "".join(circles + imports))
        return
    circles, imports = read_allowed(ALLOWED.read_text())
    faults = faults_of_circles(found, circles) + faults_of_manifests(ROOT)
    for folder, crate in facades.items():
        faults += faults_of_sections(crate, folder, imports)
    print("\n".join(faults) or f"{len(everything)} crates: no circle and no import between sections that is not on the list")
    if faults:
        print("python3 tests/tools/circles.py --explain shows the arrows of each circle")
    sys.exit(bool(faults))


def explain(crate: Crate) -> None:
    for circle in crate.circles():
        print(f"{crate.folder.relative_to(ROOT)}: {len(circle)} files")
        for file in circle:
            ends = ", ".join(f"{crate.shown(end)} (line {line})" for end, line in sorted(crate.arrows[file].items()) if end in circle)
            print(f"  {crate.shown(file)} -> {ends}")
        for left, start, end in crate.openings(circle)[:12]:
            print(f"  without {crate.shown(start)} -> {crate.shown(end)}: the largest circle left has {left} files")
        print()


if __name__ == "__main__":
    main()
