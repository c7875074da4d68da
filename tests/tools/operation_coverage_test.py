"""What operation_coverage.py says.   python3 -m unittest discover -s tests/tools -p '*_test.py'"""

import json
import tempfile
import unittest
from pathlib import Path

import operation_coverage as coverage


class Coverage(unittest.TestCase):
    def test_the_operations_of_all_documents(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        paths = {"/a": {"get": {"operationId": "list"}, "post": {"operationId": "make"}, "parameters": [], "summary": "A"}}
        (folder / "shop.json").write_text(json.dumps({"paths": paths}))
        (folder / "shop.md").write_text("no document")
        (folder / "chat.json").write_text(json.dumps({"paths": {"/b": {"get": {"operationId": "list"}}}}))
        self.assertEqual({"shop list", "shop make", "chat list"}, coverage.documented(folder))

    def test_an_operation_is_tested_or_listed_and_not_both(self) -> None:
        documented = {"shop a", "shop b"}
        self.assertEqual([], coverage.faults(documented, {"shop a", "shop b", "shop gone"}, set()))
        self.assertEqual([], coverage.faults(documented, {"shop a"}, {"shop b"}))
        self.assertEqual(["shop b: no test calls it with success"], coverage.faults(documented, {"shop a"}, set()))
        (fault,) = coverage.faults(documented, {"shop a", "shop b"}, {"shop b"})
        self.assertIn("shop b: a test calls it now", fault)
        (fault,) = coverage.faults(documented, {"shop a", "shop b"}, {"shop c"})
        self.assertIn("shop c: no document has it", fault)

    def test_the_list_names_operations_that_there_are(self) -> None:
        documented = coverage.documented(coverage.ROOT / "openapi")
        self.assertGreater(len(documented), 100)
        self.assertEqual(set(), coverage.lines(coverage.UNTESTED.read_text()) - documented)


if __name__ == "__main__":
    unittest.main()
