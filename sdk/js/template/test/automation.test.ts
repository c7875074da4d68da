import { expect, test } from "vitest";
import { script } from "@pombo/plugin/test";
import automation from "../src/automation.js";

test("it asks for the name and remembers it", () => {
  const chat = script(automation, { config: { shop: "Padaria Aurora" } });
  chat.says("oi");
  expect(chat.texts).toEqual(["Hello, this is Padaria Aurora. What is your name?"]);
  chat.says("Ana");
  chat.says("good morning");
  expect(chat.texts.slice(1)).toEqual(["Nice to meet you, Ana!", "Good to hear from you, Ana!"]);
});

test("it reminds after a day", () => {
  const chat = script(automation);
  chat.says("oi");
  chat.advance({ hours: 23 });
  expect(chat.texts).toHaveLength(1);
  chat.advance({ hours: 1 });
  expect(chat.texts[1]).toBe("Are you still there? Tell me your name, and we can go on.");
});

test("it does not remind somebody who answered", () => {
  const chat = script(automation);
  chat.says("oi");
  chat.says("Ana");
  chat.advance({ days: 2 });
  expect(chat.texts).toHaveLength(2);
});
