"""What circles.py finds in crates made for the purpose.   python3 -m unittest discover -s tests/tools -p '*_test.py'"""

import tempfile
import unittest
from pathlib import Path

import circles


class Circles(unittest.TestCase):
    def crate(self, **files: str) -> circles.Crate:
        """A crate of these files: `a__b` is a/b.rs."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name, source in files.items():
            path = folder / "src" / (name.replace("__", "/") + ".rs")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return circles.Crate(folder)

    def found(self, **files: str) -> list[list[str]]:
        crate = self.crate(**files)
        return [[crate.shown(file) for file in circle] for circle in crate.circles()]

    def test_two_files_that_name_each_other(self) -> None:
        self.assertEqual(
            [["a.rs", "b.rs"]],
            self.found(lib="mod a; mod b;", a="use crate::b::B; pub struct A;", b="fn f() -> super::a::A { todo!() } pub struct B;"),
        )

    def test_re_exports_are_followed_to_the_definition(self) -> None:
        files = {"lib": "mod a; mod room;", "room__mod": "mod b; mod c; pub use b::*; pub(crate) use self::c::C as D;"}
        ends = {"room__b": "pub struct B;", "room__c": "use crate::a::A; pub struct C;"}
        self.assertEqual([], self.found(**files, **ends, a="use crate::room::B; pub struct A;"))
        self.assertEqual([["a.rs", "room/c.rs"]], self.found(**files, **ends, a="use crate::room::{B, D}; pub struct A;"))

    def test_a_module_that_was_imported_leads_on(self) -> None:
        self.assertEqual(
            [["a.rs", "b.rs"]],
            self.found(lib="mod a; mod b;", a="use crate::b; fn f() { b::g() }", b="use crate::a::f; pub fn g() { f() }"),
        )

    def test_a_parent_and_its_children_are_left_alone(self) -> None:
        parent = "mod one; mod two; use one::One; pub struct Room;"
        self.assertEqual([], self.found(lib="mod room;", room__mod=parent, room__one="use super::Room; pub struct One;", room__two=""))
        self.assertEqual([], self.found(lib="mod room;", room=parent, room__one="use super::Room; pub struct One;", room__two=""))

    def test_children_in_a_circle_are_found_within_their_parents_own(self) -> None:
        parent = "mod one; mod two; use one::One; pub struct Room;"
        one = "use super::{Room, two::Two}; pub struct One;"
        self.assertEqual(
            [["room/one.rs", "room/two.rs"]],
            self.found(lib="mod room;", room__mod=parent, room__one=one, room__two="use super::one::One; pub struct Two;"),
        )

    def test_a_circle_through_a_room_and_a_file_outside_it(self) -> None:
        self.assertEqual(
            [["context.rs", "room/mod.rs", "room/one.rs"]],
            self.found(
                lib="mod context; mod room;", context="use crate::room::one::One; pub struct Context;",
                room__mod="use crate::context::Context; pub mod one; pub struct Room;", room__one="use super::Room; pub struct One;",
            ),
        )

    def test_tests_comments_and_texts_do_not_count(self) -> None:
        quiet = '''
            // use crate::b::B;
            /* crate::b::B */
            const TEXT: &str = "crate::b::B"; const RAW: &str = r#"crate::b::B" "#; const QUOTE: char = '"';
            #[cfg(test)]
            #[path = "b.rs"]
            mod tests { use crate::b::B; fn f() { if true { B; } } }
            #[cfg(test)]
            use crate::b::C;
            pub struct A;
        '''
        self.assertEqual([], self.found(lib="mod a; mod b;", a=quiet, b="use crate::a::A; pub struct B; pub struct C;"))

    def test_the_list_may_only_shrink(self) -> None:
        allowed, _ = circles.read_allowed("# why\nengine/x: a.rs b.rs c.rs\n")
        self.assertEqual([], circles.faults_of_circles([("engine/x", frozenset(("a.rs", "b.rs", "c.rs")))], allowed))
        (fault,) = circles.faults_of_circles([], allowed)
        self.assertIn("it is open now", fault)
        (fault,) = circles.faults_of_circles([("engine/x", frozenset(("a.rs", "b.rs")))], allowed)
        self.assertIn("of it is left: a.rs b.rs", fault)
        grown = circles.faults_of_circles([("engine/x", frozenset(("a.rs", "b.rs", "c.rs", "d.rs")))], allowed)
        self.assertIn("in a circle: a.rs b.rs c.rs d.rs", grown[0])

    def test_the_arrows_that_open_a_circle(self) -> None:
        crate = self.crate(
            lib="mod a; mod b; mod c;", a="use crate::b::B; pub struct A;", b="use crate::c::C; pub struct B;",
            c="use crate::a::A; use crate::b::B; pub struct C;",
        )
        (circle,) = crate.circles()
        names = [(left, crate.shown(start), crate.shown(end)) for left, start, end in crate.openings(circle)]
        self.assertEqual([(0, "b.rs", "c.rs")], names)


class Facades(unittest.TestCase):
    def test_sections_do_not_import_each_other(self) -> None:
        section = "#[OpenApi] impl S {} pub struct Wire;"
        files = {
            "lib": "mod wire; mod queue; mod contacts; mod room;", "wire": "pub struct Page;",
            "queue": f"mod rows; use crate::wire::Page; use rows::Row; {section}", "queue__rows": "pub struct Row;",
            "room__mod": f"pub mod one; mod two; use one::Wire; pub struct Shared; {section}",
            "room__one": f"use super::Shared; use crate::wire::Page; {section}",
        }
        crate = Circles.crate(self, **files, room__two=section, contacts=section)
        self.assertEqual([], circles.faults_of_sections(crate, "engine/x", set()))
        crate = Circles.crate(self, **files, room__two=f"use super::one::Wire; {section}", contacts=f"use crate::queue::rows::Row; {section}")
        faults = circles.faults_of_sections(crate, "engine/x", set())
        self.assertEqual(["engine/x/src/contacts.rs:1", "engine/x/src/room/two.rs:1"], sorted(fault.split(": ")[0] for fault in faults))
        self.assertIn("queue/rows.rs", "".join(faults))
        listed = "engine/x: contacts.rs -> queue/rows.rs\nengine/x: room/two.rs -> room/one.rs\n"
        self.assertEqual([], circles.faults_of_sections(crate, "engine/x", circles.read_allowed(listed)[1]))
        _, allowed = circles.read_allowed(listed + "engine/x: queue.rs -> contacts.rs\nengine/y: a.rs b.rs\n")
        (fault,) = circles.faults_of_sections(crate, "engine/x", allowed)
        self.assertIn("queue.rs -> contacts.rs: this import is gone", fault)

    def test_a_facade_names_no_other_facade(self) -> None:
        root = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name, depended in (("one", 'other = { package = "two", path = "../two" }'), ("two", "")):
            folder = root / "engine" / "facades" / name
            folder.mkdir(parents=True)
            (folder / "Cargo.toml").write_text(f'[package]\nname = "{name}"\n[dependencies]\n{depended}\n')
        self.assertEqual(["engine/facades/one/Cargo.toml: a facade depends on another one, two"], circles.faults_of_manifests(root))


if __name__ == "__main__":
    unittest.main()
