// The world that the package carries is the engine's.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("the package's copy of the world is the engine's", () => {
  const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
  expect(read("../wit/automation.wit")).toBe(read("../../../wit/automation/automation.wit"));
});
