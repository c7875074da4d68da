// Tries, in the component, what differs there from a test in Node: the engine's clock, chance, output and errors.

import { defineAutomation, HttpError, KvError, type Turn } from "@pombo/plugin";

declare const console: Record<"log" | "error", (...parts: unknown[]) => void>;

/** Loaded while the component is built: there is no clock and no host. */
const builtAt = Date.now();

const tries: Record<string, (turn: Turn<any, any>) => void> = {
  clock(turn) {
    turn.reply(`${new Date().toISOString()} ${Date.now() === turn.now.getTime() && new Date() instanceof Date} ${builtAt} ${new Date(2026, 0, 2).getDate()}`);
  },
  chance(turn) {
    turn.reply(`${Math.random()} ${turn.random()} ${turn.randomBytes(2).join()}`);
  },
  output(turn) {
    console.log("printed", 1);
    console.error("told");
    turn.log.debug("logged");
  },
  fail(turn) {
    turn.reply("never sent");
    throw new Error("não deu");
  },
  store(turn) {
    try {
      turn.kv.set("b", 2);
      turn.state = [turn.kv.list(), turn.kv.get("a")];
    } catch (error) {
      turn.reply((error as KvError).kind);
    }
  },
  web(turn) {
    try {
      const response = turn.http.send({ url: "https://example.org/x", body: { n: "é" }, timeout: { seconds: 2 } });
      turn.reply(`${response.status} ${JSON.stringify(response.headers)} ${response.text()}`);
    } catch (error) {
      turn.reply(`${(error as HttpError).kind}`);
    }
  },
  actions(turn) {
    turn.reply("a", { quote: true, delay: { seconds: 1 }, label: "l" });
    turn.sendTemplate("{x|y}", { n: 1 });
    turn.sendFile("https://example.org/a.png", { caption: "c" });
    turn.sendFile({ id: "f", filename: "a.pdf", contentType: "application/pdf", size: 5_000_000_000 }, { voiceNote: true });
    turn.react("👍");
    turn.setTimer("t", { days: 3 }, { a: 1 });
    turn.cancelTimer("u");
    turn.tag("a");
    turn.untag("b");
    turn.updateContact({ name: "Ana", active: true });
    turn.assign(null);
    turn.emit("e", [1]);
    turn.markRead();
    turn.handOver("why");
  },
};

export default defineAutomation<any, any>({
  name: "probe",
  version: "0.1.0",
  displayName: "Sonda ✓",
  wants: { hosts: ["=example.org"], kvBytes: 1000, cpuMillis: 5, memoryBytes: 1 << 26, eventsPerMinute: 60 },
  secretFields: ["token"],
  onMessage: (turn, message) => tries[message.text]!(turn),
  onStatus: (turn, change) => turn.reply(`${change.label} ${change.status} ${change.reason}`),
});
