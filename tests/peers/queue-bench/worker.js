// The benchmark's peer, second half: a BullMQ worker at concurrency 50 whose processor does nothing.
//
//   REDIS_PORT=… node worker.js
import { Worker } from "bullmq";

const worker = new Worker("messages", async () => {}, {
  connection: { host: "127.0.0.1", port: Number(process.env.REDIS_PORT) },
  concurrency: 50,
});
await worker.waitUntilReady();
console.log(JSON.stringify({ ready: true }));
process.stdin.on("end", () => process.exit(0)).resume();
