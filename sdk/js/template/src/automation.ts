import { defineAutomation } from "@pombo/plugin";

/** The state of one conversation. */
interface State {
  name: string | null;
  asked: boolean;
}

interface Config {
  /** The shop's name, which the automation gives when it greets. */
  shop?: string;
}

export default defineAutomation<Config, State>({
  name: "{{name}}",
  version: "0.1.0",
  configSchema: {
    type: "object",
    properties: { shop: { type: "string", title: "Name of the shop" } },
    additionalProperties: false,
  },
  initialState: { name: null, asked: false },

  onMessage(turn, message) {
    const { state } = turn;
    if (state.name !== null) {
      turn.reply(`Good to hear from you, ${state.name}!`);
    } else if (state.asked && message.text.trim() !== "") {
      state.name = message.text.trim();
      turn.cancelTimer("reminder");
      turn.reply(`Nice to meet you, ${state.name}!`);
    } else {
      state.asked = true;
      turn.setTimer("reminder", { days: 1 });
      turn.reply(`Hello, this is ${turn.config.shop ?? "our shop"}. What is your name?`);
    }
  },

  onTimer(turn, timer) {
    if (timer.name === "reminder" && turn.state.name === null) {
      turn.reply("Are you still there? Tell me your name, and we can go on.");
    }
  },
});
