// The test kit follows the engine's rules, and the SDK gives and takes what its types say.

import { describe, expect, test } from "vitest";
import { defineAutomation, duration, HttpError, type Content, type Definition } from "@pombo/plugin";
import { script } from "@pombo/plugin/test";

/** An automation of one handler or a few. */
function automation<State = any>(definition: Partial<Definition<any, State>>) {
  return defineAutomation<any, State>({ name: "probe", version: "0.1.0", ...definition });
}

describe("a turn is done as a whole or not at all", () => {
  const failing = automation<{ seen: number }>({
    initialState: { seen: 0 },
    wants: { kvBytes: 1000 },
    onMessage(turn, message) {
      turn.state.seen += 1;
      turn.reply(`seen ${turn.state.seen}`);
      turn.kv.set("last", message.text);
      turn.setTimer("later", { hours: 1 });
      turn.tag("seen");
      if (message.text === "fail" && turn.event.attempt < 2) {
        throw new Error("not now");
      }
    },
  });

  test("an error leaves nothing behind", () => {
    const chat = script(failing);
    expect(() => chat.says("fail")).toThrow("not now");
    expect([chat.state, chat.sent, chat.kv, chat.timers, chat.tags]).toEqual([null, [], {}, {}, []]);
  });

  test("the event is handled again, with its number and the next attempt", () => {
    const chat = script(failing);
    expect(() => chat.says("fail")).toThrow();
    chat.retry();
    expect(chat.sent).toEqual([{ text: "seen 1" }]);
    expect(chat.state).toEqual({ seen: 1 });
    expect(() => chat.retry()).toThrow("no event failed");
  });

  test("writes beyond what it asks for are refused as a whole", () => {
    const chat = script(failing);
    expect(() => chat.says("x".repeat(1000))).toThrow("wants.kvBytes");
    expect([chat.state, chat.sent]).toEqual([null, []]);
  });
});

describe("state", () => {
  test("takes the way through JSON", () => {
    const chat = script(automation({
      onMessage(turn) {
        turn.reply(typeof (turn.state as any).at);
        turn.state = { at: new Date(0), gone: undefined };
      },
    }));
    chat.says("a").says("b");
    expect(chat.texts).toEqual(["undefined", "string"]);
    expect(chat.state).toEqual({ at: "1970-01-01T00:00:00.000Z" });
  });

  test("that was never touched is not kept, and null forgets it", () => {
    const chat = script(automation({
      initialState: { n: 0 } as { n: number } | null,
      onMessage(turn, { text }) {
        turn.state = text === "forget" ? null : text === "count" ? { n: turn.state!.n + 1 } : turn.state;
      },
    }));
    expect(chat.says("look").state).toBeNull();
    expect(chat.says("count").says("count").state).toEqual({ n: 2 });
    expect(chat.says("forget").state).toBeNull();
    expect(chat.says("count").state).toEqual({ n: 1 });
  });

  test("changed after the handler returned is not kept", () => {
    let kept: any;
    const chat = script(automation({ onMessage(turn) { kept = turn.state; kept.a = 1; } }));
    chat.says("x");
    kept.a = 2;
    expect(chat.state).toEqual({ a: 1 });
  });
});

describe("timers", () => {
  const timed = automation({
    onMessage(turn, { text }) {
      const [name, minutes] = text.split(" ");
      if (minutes === undefined) {
        turn.cancelTimer(name!);
      } else {
        turn.setTimer(name!, { minutes: Number(minutes) }, { minutes });
      }
    },
    onTimer(turn, timer) {
      turn.reply(`${timer.name} ${timer.payload.minutes} ${turn.now.toISOString().slice(11, 16)} ${timer.dueAt.getTime() === turn.now.getTime()}`);
      if (timer.name === "again") {
        turn.setTimer("again", { minutes: 20 }, { minutes: 20 });
      }
    },
  });

  test("fire in their order, each at its time, also those set by one another", () => {
    const chat = script(timed, { now: "2026-03-01T08:00:00Z" });
    chat.says("b 30").says("a 10").says("again 25");
    chat.advance({ hours: 1 });
    expect(chat.texts).toEqual(["a 10 08:10 true", "again 25 08:25 true", "b 30 08:30 true", "again 20 08:45 true"]);
    expect(chat.now.toISOString()).toBe("2026-03-01T09:00:00.000Z");
    expect(chat.timers).toEqual({ again: new Date("2026-03-01T09:05:00Z") });
  });

  test("are one for each name, and can be taken back", () => {
    const chat = script(timed);
    chat.says("a 10").says("a 40").says("b 10").says("b");
    chat.advance({ minutes: 39 });
    expect(chat.sent).toEqual([]);
    chat.advance({ minutes: 1 });
    expect(chat.texts).toHaveLength(1);
  });

  test("wait while a person is in charge, and fire when the automation goes on", () => {
    const chat = script(timed, { now: "2026-03-01T08:00:00Z" });
    chat.says("a 10").pause("lunch").advance({ hours: 2 });
    expect(chat.sent).toEqual([]);
    expect(chat.says("b 1").claimed).toBeNull();
    chat.resume();
    expect(chat.texts).toEqual(["a 10 10:00 false"]);
  });

  test("have bounds", () => {
    expect(() => script(timed).says("a 0")).toThrow("must run from 1 second to 400 days");
    expect(() => script(timed).says(`a ${401 * 1440}`)).toThrow(RangeError);
  });
});

test("what is sent, with all that can be said about it", () => {
  const file = { id: "f1", filename: "a.pdf", contentType: "application/pdf", size: 3 };
  const chat = script(automation({
    onMessage(turn, message) {
      turn.reply("plain");
      turn.reply("quoting", { quote: true, delay: { seconds: 2 }, label: "l" });
      turn.sendTemplate("{hi|hello} {{name}}", { name: "Ana" });
      turn.sendFile("https://example.org/a.png", { caption: "a", replyTo: "m9" });
      turn.sendFile(file, { voiceNote: true });
      turn.react("👍");
      turn.react("", "own-message");
      turn.react("❤️", { id: "other", sender: "+1" });
      void message;
    },
  }));
  chat.says("x", { id: "m1" });
  expect(chat.sent).toEqual([
    { text: "plain" },
    { text: "quoting", replyTo: "m1", label: "l", delay: 2000 },
    { template: "{hi|hello} {{name}}", variables: { name: "Ana" } },
    { file: "https://example.org/a.png", caption: "a", replyTo: "m9" },
    { file, voiceNote: true },
    { reaction: "👍", message: "m1" },
    { reaction: "", message: "own-message" },
    { reaction: "❤️", message: "other" },
  ]);
  expect(chat.texts).toEqual(["plain", "quoting", "{hi|hello} {{name}}", "a"]);
});

test("every kind of event arrives as its type says", () => {
  const seen: unknown[] = [];
  const chat = script(automation({
    onOpened: (turn) => void seen.push(["opened", turn.event.kind]),
    onMessage: (turn, message) => {
      seen.push(["message", message.text, message.content, message.sender, message.replyTo, message.mentions]);
      turn.reply("labelled", { label: "offer" });
    },
    onStatus: (_, change) => void seen.push(["status", change.label, change.status, change.reason]),
    onReaction: (_, reaction) => void seen.push(["reaction", reaction.emoji, reaction.message]),
    onStarted: (_, start) => void seen.push(["started", start.input, start.by]),
    onWebhook: (_, call) => void seen.push(["webhook", call.contentType, call.json()]),
  }), { chat: "+55" });
  const image: Content = { kind: "attachment", attachment: { kind: "image", file: null, caption: "look" } };
  chat.says("hi", { replyTo: "m0", mentions: ["+1"] }).sends(image);
  chat.sends({ kind: "location", latitude: -23.5, longitude: -46.6, name: null }).sends({ kind: "deleted", message: "m1" });
  chat.status("offer", "failed", "not on the channel").reacts("👍", "m7").starts({ offer: 7 }, "key:k").calls({ paid: true });
  expect(seen).toEqual([
    ["opened", "conversation-opened"],
    ["message", "hi", { kind: "text", text: "hi" }, "+55", "m0", ["+1"]],
    ["message", "look", image, "+55", null, []],
    ["message", "", { kind: "location", latitude: -23.5, longitude: -46.6, name: null }, "+55", null, []],
    ["message", "", { kind: "deleted", message: "m1" }, "+55", null, []],
    ["status", "offer", "failed", "not on the channel"],
    ["reaction", "👍", "m7"],
    ["started", { offer: 7 }, "key:k"],
    ["webhook", "application/json", { paid: true }],
  ]);
  expect(() => chat.status("no such label", "read")).toThrow("no such label");
});

describe("the conversation", () => {
  test("is changed by tags, contact, assignment, hand-over and events", () => {
    const chat = script(automation({
      onMessage(turn) {
        turn.tag("new");
        turn.tag("new");
        turn.untag("old");
        turn.log.info(turn.conversation.tags);
        turn.updateContact({ name: "Ana", active: false });
        turn.assign("maria");
        turn.emit("lead", { value: 3 });
        turn.markRead();
        turn.handOver("asked for a person");
      },
    }), { tags: ["old", "keep"] });
    chat.says("help");
    expect(chat.tags).toEqual(["keep", "new"]);
    expect(chat.log).toEqual([{ level: "info", text: '["keep","new"]' }]);
    expect([chat.contact, chat.assignee, chat.emitted, chat.markedRead]).toEqual([
      { name: "Ana", active: false }, "maria", [{ kind: "lead", data: { value: 3 } }], true,
    ]);
    expect(chat.handedOver).toBe("asked for a person");
    chat.says("anybody?");
    expect(chat.emitted).toHaveLength(1);
    chat.resume().says("again");
    expect(chat.emitted).toHaveLength(2);
  });

  test("is claimed by an answer, or as it says", () => {
    const chat = script(automation({
      onMessage(turn, { text }) {
        if (text.includes("answer")) turn.reply("a");
        if (text.includes("claim")) turn.claim();
        if (text.includes("pass")) turn.pass();
      },
    }));
    const claims = ["nothing", "answer", "claim", "answer pass"].map((text) => chat.says(text).claimed);
    expect(claims).toEqual([false, true, true, false]);
  });

  test("is only watched by an observer", () => {
    const watch = (onMessage: Definition<any, any>["onMessage"]) => script(automation({ observer: true, onMessage }));
    expect(watch((turn) => turn.tag("seen")).says("a").tags).toEqual(["seen"]);
    expect(watch((turn) => turn.claim()).says("a").claimed).toBe(false);
    expect(watch((turn) => turn.tag("seen")).pause().says("a").tags).toEqual(["seen"]);
    expect(() => watch((turn) => turn.reply("a")).says("a")).toThrow("an observer may not send");
    expect(() => watch((turn) => turn.handOver("a")).says("a")).toThrow("an observer may not hand a conversation over");
    expect(() => watch((turn) => turn.assign("a")).says("a")).toThrow("an observer may not assign a conversation");
  });
});

describe("the key/value store", () => {
  const keeping = automation({
    wants: { kvBytes: 10_000 },
    onMessage(turn, { text }) {
      turn.kv.set("b", { n: 1 });
      turn.kv.delete("c");
      turn.log.info(turn.kv.get("a"), turn.kv.get("b"), turn.kv.get("c") === undefined, turn.kv.list("", { after: "a" }));
      if (text) throw new Error(text);
    },
  });

  test("reads what the turn itself has written", () => {
    const chat = script(keeping, { kv: { a: "x", c: 3, d: [4] } });
    chat.says("");
    expect(chat.log[0]!.text).toBe('x {"n":1} true [{"key":"b","value":{"n":1}},{"key":"d","value":[4]}]');
    expect(chat.kv).toEqual({ a: "x", b: { n: 1 }, d: [4] });
  });

  test("lists in byte order, page after page", () => {
    const kv = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`k${String(n).padStart(3, "0")}`, n]));
    const listing = (deleted: number) => script(automation({
      wants: { kvBytes: 1 << 20 },
      onMessage(turn) {
        for (let n = 0; n < deleted; n += 1) turn.kv.delete(`k${String(n).padStart(3, "0")}`);
        turn.state = turn.kv.list("k").map(({ value }) => value) as any;
      },
    }), { kv: { ...kv, "\u{10000}": 0, "\uffff": 0 } }).says("x").state;
    expect(listing(0)).toEqual(Array.from({ length: 256 }, (_, n) => n));
    expect(listing(100)).toEqual(Array.from({ length: 200 }, (_, n) => n + 100));
    const order = script(automation({ wants: { kvBytes: 10_000 }, onMessage(turn) { turn.state = turn.kv.list().map(({ key }) => key) as any; } }),
      { kv: { "\u{10000}": 0, "\uffff": 0, a: 0 } });
    expect(order.says("x").state).toEqual(["a", "\uffff", "\u{10000}"]);
  });

  test("is refused to whom it was not asked for by, and has bounds", () => {
    const asking = (handler: Definition<any, any>["onMessage"], kvBytes = 0) => () => script(automation({ wants: { kvBytes }, onMessage: handler })).says("x");
    expect(asking((turn) => turn.kv.get("a"))).toThrow("answered refused");
    expect(asking((turn) => turn.kv.set("a", 1))).toThrow("wants.kvBytes");
    expect(asking((turn) => turn.kv.set("", 1), 99)).toThrow("1 to 512 bytes");
    expect(asking((turn) => turn.kv.set("é".repeat(257), 1), 99)).toThrow("1 to 512 bytes");
    expect(asking((turn) => turn.kv.set("a", "x".repeat(1 << 20)), 1 << 30)).toThrow("larger than 1 MiB");
    expect(asking((turn) => turn.kv.set("a", undefined as any), 99)).toThrow("not JSON");
  });
});

describe("http", () => {
  const calling = automation({
    secretFields: ["token"],
    wants: { hosts: ["=api.example.org", "=*.example.net:8443", "shop.url"] },
    onMessage(turn, { text }) {
      try {
        const response = turn.http.send({
          url: text,
          headers: { Authorization: "Bearer {{secret:token}}", "X-Signature": "{{hmac-sha256:token}}", "Idempotency-Key": turn.event.id },
          body: { text: "olá" },
        });
        turn.reply(`${response.status} ${response.ok} ${response.headers["x-a"]} ${response.json().hello} ${JSON.stringify(turn.config)}`);
      } catch (error) {
        turn.reply(error instanceof HttpError ? error.kind : String(error));
      }
    },
  });
  const config = { token: "s3cret", shop: { url: "https://shop.example:444/x" } };

  test("goes to granted hosts, with secrets that the automation never sees", () => {
    const chat = script(calling, {
      config,
      http: (request) => ({ status: 201, headers: { "X-A": request.headers["idempotency-key"]!.slice(-1) }, body: { hello: request.json().text } }),
    });
    chat.says("https://api.example.org/a");
    expect(chat.texts).toEqual([`201 true 1 olá ${JSON.stringify({ shop: config.shop })}`]);
    expect(chat.requests[0]).toMatchObject({
      method: "POST",
      body: '{"text":"olá"}',
      headers: {
        authorization: "Bearer s3cret",
        "content-type": "application/json",
        // echo -n '{"text":"olá"}' | openssl dgst -sha256 -hmac s3cret
        "x-signature": "126fde719248df88000070e4e8753537199a7e504730e64a536101e64898b316",
      },
    });
  });

  test("gives no secret to somebody who writes its name", () => {
    const chat = script(automation({
      secretFields: ["token"],
      wants: { hosts: ["=api.example.org"] },
      onMessage(turn, { text }) {
        turn.http.send({ url: "https://api.example.org/", body: { text } });
      },
    }), { config, http: () => ({}) });
    chat.says("{{secret:token}}");
    expect(chat.requests.map(({ body }) => body)).toEqual(['{"text":"{{secret:token}}"}']);
  });

  test("is refused elsewhere", () => {
    const chat = script(calling, { config, http: () => ({ body: "{}" }) });
    for (const url of ["https://evil.example/", "https://a.example.net/", "https://example.net:8443/", "https://shop.example/", "http://api.example.org/", "no url"]) {
      chat.says(url);
    }
    expect(chat.texts).toEqual(["refused", "refused", "refused", "refused", "refused", "invalid"]);
    chat.says("https://a.example.net:8443/").says("https://shop.example:444/y");
    expect(chat.requests).toHaveLength(2);
  });

  test("tells of what went wrong", () => {
    const chat = script(calling, { config, http: () => { throw new HttpError("interrupted", "gone"); } });
    expect(chat.says("https://api.example.org/").texts).toEqual(["interrupted"]);
    expect(script(calling, { config }).says("https://api.example.org/").texts[0]).toContain("the script has no answer");
  });
});

test("clock and chance are the script's", () => {
  const chance = (seed: number) => script(automation({
    onMessage(turn) { turn.state = [turn.random(), turn.random(), [...turn.randomBytes(3)]] as any; },
  }), { seed }).says("x").state;
  expect(chance(1)).toEqual(chance(1));
  expect(chance(1)).not.toEqual(chance(2));
  const [one, two] = chance(3);
  expect(one).not.toBe(two);
  expect(Math.min(one, two)).toBeGreaterThanOrEqual(0);
  expect(Math.max(one, two)).toBeLessThan(1);
  expect([duration({ weeks: 1 }), duration({ days: 3, hours: 2 }), duration(5)]).toEqual([604_800_000, 266_400_000, 5]);
  expect(() => duration({ years: 1 } as any)).toThrow("there is no unit of time years");
  expect(() => duration({ days: -1 })).toThrow(RangeError);
});

test("a definition that cannot work is refused with what to change", () => {
  const onMessage = () => {};
  expect(() => automation({ name: "Not A Name", onMessage })).toThrow("lower-case words joined by dashes");
  expect(() => automation({ version: "1", onMessage })).toThrow("semantic");
  expect(() => automation({})).toThrow("at least one event");
  expect(() => automation({ onMesage: onMessage } as any)).toThrow("there is no event onMesage");
  expect(() => automation({ onMessage, events: ["reaction"] })).toThrow("no handler for it");
  // @ts-expect-error a handler that is asynchronous
  const asynchronous = automation({ onMessage: async () => {} });
  expect(() => script(asynchronous).says("x")).toThrow("handlers must be ordinary functions");
});
