import { defineAutomation } from "@pombo/plugin";

// Answers each message with its text and counts them, as plugins/echo does in Rust.
export default defineAutomation({
  name: "echo-js",
  version: "0.1.0",
  initialState: { count: 0 },

  onMessage(turn, message) {
    turn.state.count += 1;
    // An empty text cannot be sent.
    if (message.text !== "") {
      turn.reply(message.text);
    }
  },
});
