// The world that the package carries is the engine's, and the SDK has a place for everything in it: what an author writes, its types,
// and the test kit. The lists are read from the world's text, so that a new kind of event or action fails here until it is there too.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { defineAutomation } from "@pombo/plugin";
import { script } from "@pombo/plugin/test";
import { HANDLERS } from "../src/events.js";
import { Turn } from "../src/turn.js";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const world = read("../wit/automation.wit");

/** Names of the cases of a variant or an enum of the world. */
function cases(declared) {
  const text = world.replaceAll(/\/\/.*$/gm, "");
  const start = text.indexOf(`${declared} {`);
  expect(start, declared).toBeGreaterThan(0);
  const body = text.slice(text.indexOf("{", start) + 1, text.indexOf("}", start));
  return body.split(",").map((name) => name.replace(/\(.*/s, "").trim()).filter(Boolean).sort();
}

/** The body of an interface in a file of types. */
function declared(path, name) {
  const found = new RegExp(`^export interface ${name}\\b.*?\\{\\n(.*?)^\\}`, "ms").exec(read(path));
  expect(found, name).not.toBeNull();
  return found[1];
}

/** An automation that listens to everything, and what its calls were and asked for. */
function witness(definition) {
  const handlers = Object.fromEntries(Object.keys(HANDLERS).map((name) => [name, definition[name] ?? (() => {})]));
  const automation = defineAutomation({ name: "witness", version: "0.1.0", wants: { kvBytes: 1000 }, ...handlers });
  const seen = { kinds: new Set(), actions: new Set() };
  return [seen, {
    describe: () => automation.describe(),
    handle(host, event, state) {
      const outcome = automation.handle(host, event, state);
      seen.kinds.add(event.body.tag);
      outcome.actions.forEach(({ tag }) => seen.actions.add(tag));
      return outcome;
    },
  }];
}

test("the package's copy of the world is the engine's", () => {
  expect(world).toBe(read("../../../wit/automation/automation.wit"));
});

test("every kind of event has a handler, and both are in the types", () => {
  const kinds = cases("enum event-kind");
  expect(cases("variant event-body")).toEqual(kinds);
  expect(Object.values(HANDLERS).sort()).toEqual(kinds);
  const union = /export type EventKind =([^;]*);/.exec(read("../src/index.d.ts"))[1];
  expect([...union.matchAll(/"([^"]*)"/g)].map(([, kind]) => kind).sort()).toEqual(kinds);
  const handlers = declared("../src/index.d.ts", "Definition").matchAll(/^ {2}(on[A-Z]\w*)\?\(/gm);
  expect([...handlers].map(([, name]) => name).sort()).toEqual(Object.keys(HANDLERS).sort());
});

test("the test kit brings about every kind of event", () => {
  const [seen, automation] = witness({
    onMessage(turn) {
      turn.reply("hello", { label: "greeting" });
      turn.setTimer("later", { hours: 1 });
    },
  });
  script(automation).says("hi").status("greeting", "read").reacts("👍", "m1").starts().calls({}).advance({ hours: 1 });
  expect([...seen.kinds].sort()).toEqual(cases("variant event-body"));
});

test("a turn has a way to every action, and the test kit carries it out", () => {
  const [seen, automation] = witness({
    onMessage(turn) {
      turn.reply("hello");
      turn.kv.set("key", 1);
      turn.setTimer("later", { hours: 1 });
      turn.cancelTimer("later");
      turn.tag("new");
      turn.untag("new");
      turn.updateContact({ name: "Ana" });
      turn.assign("maria");
      turn.emit("lead");
      turn.markRead();
      turn.handOver("asked for a person");
    },
  });
  script(automation).says("hi");
  expect([...seen.actions].sort()).toEqual(cases("variant action"));
});

test("everything that a turn and a script can do is in the types", () => {
  const members = (prototype) => Object.getOwnPropertyNames(prototype).filter((name) => name !== "constructor");
  const turn = declared("../src/index.d.ts", "Turn");
  const chat = declared("../src/test/index.d.ts", "Script");
  // What the SDK itself takes from a turn once the handler has returned.
  const missing = members(Turn.prototype).filter((name) => name !== "outcome" && !new RegExp(`^ {2}(readonly )?${name}[(:]`, "m").test(turn));
  const [, automation] = witness({});
  missing.push(...members(Object.getPrototypeOf(script(automation))).filter((name) => !new RegExp(`^ {2}(readonly )?${name}[(:]`, "m").test(chat)));
  expect(missing).toEqual([]);
});

test("an event or a content of a newer engine is passed over", () => {
  const automation = defineAutomation({
    name: "old", version: "0.1.0", onMessage: (turn, { content }) => turn.reply(JSON.stringify(content)),
  });
  const event = (body) => ({
    id: "e", atMillis: 0n, attempt: 1, config: "{}", body,
    conversation: { id: "c", connector: "k", channel: "x", chat: "a", isGroup: false, tags: [], openedAtMillis: 0n },
  });
  const unknown = event({ tag: "poll-answered", val: { option: 1 } });
  expect(automation.handle({}, unknown, null)).toEqual({ state: null, actions: [], claim: false });
  expect(automation.handle({}, unknown, '{"kept":1}')).toEqual({ state: '{"kept":1}', actions: [], claim: false });
  const message = { id: "m", sender: "a", text: "", mentions: [], sentAtMillis: 0n, content: { tag: "poll", val: { title: "?" } } };
  const { actions } = automation.handle({}, event({ tag: "message-received", val: message }), null);
  expect(actions[0].val.content.val).toBe('{"kind":"other","type":"poll","data":null}');
});
