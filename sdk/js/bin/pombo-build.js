#!/usr/bin/env node
// Builds an automation into a component: checks its types, bundles it with the SDK into one module, and puts that into a component
// of the world `automation`. Makes no network connection.
//
//   pombo-build [--entry FILE] [--out FILE] [--no-types]
//
// The entry is src/automation.ts or src/automation.js, the result `out` of pombo.toml or dist/plugin.wasm.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { componentize } from "componentize-qjs";
import { build } from "esbuild";

const sdk = join(dirname(fileURLToPath(import.meta.url)), "..");
const project = process.cwd();

/** Ends the build with a message for its user. */
class Stop extends Error {}

function options() {
  const { values } = parseArgs({
    options: { entry: { type: "string" }, out: { type: "string" }, "no-types": { type: "boolean" } },
  });
  const entry = values.entry ?? ["src/automation.ts", "src/automation.js"].find((file) => existsSync(file));
  if (!entry || !existsSync(entry)) {
    throw new Stop(`there is no ${entry ?? "src/automation.ts"} in ${project}: name the automation's module with --entry`);
  }
  return { entry: resolve(entry), out: resolve(values.out ?? outOfProject() ?? "dist/plugin.wasm"), types: !values["no-types"] };
}

function outOfProject() {
  return existsSync("pombo.toml") ? /^\s*out\s*=\s*"([^"]+)"/m.exec(readFileSync("pombo.toml", "utf8"))?.[1] : undefined;
}

/** If the project has a tsconfig.json and TypeScript, a type error ends the build. */
function checkTypes() {
  if (!existsSync("tsconfig.json")) {
    return;
  }
  let compiler;
  try {
    compiler = join(dirname(createRequire(join(project, "package.json")).resolve("typescript/package.json")), "bin", "tsc");
  } catch {
    return;
  }
  const { status } = spawnSync(process.execPath, [compiler, "--noEmit"], { stdio: "inherit" });
  if (status !== 0) {
    throw new Stop("the types do not fit, see above (--no-types builds all the same)");
  }
}

async function bundle(entry) {
  const contents = `
import { component } from ${JSON.stringify(join(sdk, "src", "guest.js"))};
import automation from ${JSON.stringify(entry)};
const exported = component(automation);
export function describe() { return exported.describe(); }
export function handle(event, state) { return exported.handle(event, state); }
`;
  const result = await build({
    stdin: { contents, resolveDir: project, sourcefile: "component.js" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["import"],
    target: "es2022",
    charset: "utf8",
    external: ["pombo:*"],
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "silent",
  }).catch((error) => {
    const lines = (error.errors ?? [error]).map(({ text, message, location }) =>
      `${location ? `${location.file}:${location.line}: ` : ""}${text ?? message}`);
    const none = lines.some((line) => /No matching export .* for import "default"/.test(line));
    const node = lines.some((line) => /"(node:|fs|path|crypto|http|https|os|net|stream|buffer)/.test(line));
    throw new Stop([
      ...lines,
      ...(node ? ["An automation runs in the engine and not in Node: Node's own modules are not there."] : []),
      ...(none ? ["Write `export default defineAutomation({ … })`."] : []),
    ].join("\n"));
  });
  return result.outputFiles[0].text;
}

async function main() {
  const { entry, out, types } = options();
  if (types) {
    checkTypes();
  }
  const jsSource = await bundle(entry);
  const { component } = await componentize({
    witPath: join(sdk, "wit"),
    world: "automation",
    jsSource,
    sync: true,
    stubWasi: true,
    optSize: true,
  }).catch((error) => {
    throw new Stop(`the module cannot be loaded: ${error.message.split("evaluation: ").pop()}`);
  });
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(`${out}.part`, component);
  renameSync(`${out}.part`, out);
  console.log(`${relative(project, out)}: ${(component.length / 1024).toFixed(0)} KiB`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Stop)) {
    throw error;
  }
  console.error(`pombo-build: ${error.message}`);
  process.exitCode = 1;
}
