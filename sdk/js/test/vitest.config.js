import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export default {
  test: { root: here(".."), include: ["test/*.test.{js,ts}"] },
  resolve: { alias: { "@pombo/plugin/test": here("../src/test/index.js"), "@pombo/plugin": here("../src/index.js") } },
};
