// The benchmark's peer: what a plain Node service does for the same job. fastify takes the request, checks it against a schema
// and an API key, and puts one BullMQ job a message into Redis.
//
//   REDIS_PORT=… API_KEY=… node server.js        prints {"port":…} once it listens on 127.0.0.1
import { createHash, timingSafeEqual } from "node:crypto";
import fastify from "fastify";
import { Queue } from "bullmq";
import { Redis } from "ioredis";

const connection = { host: "127.0.0.1", port: Number(process.env.REDIS_PORT) };
const queue = new Queue("messages", { connection });
const redis = new Redis(connection);
const digest = (text) => createHash("sha256").update(text).digest();
const key = digest(process.env.API_KEY);

const message = {
  type: "object",
  required: ["connectorId", "to", "message"],
  properties: {
    connectorId: { type: "string", minLength: 1, maxLength: 64 },
    to: { type: "string", format: "email", maxLength: 254 },
    message: { type: "string", minLength: 1, maxLength: 65536 },
    contactName: { type: "string", maxLength: 200 },
    messageType: { enum: ["GERAL", "NOTIFICATION", "MARKETING", "TRANSACTIONAL", "SUPPORT", "REMINDER"] },
    priority: { type: "integer", minimum: 1, maximum: 10 },
    scheduledAt: { type: "string", format: "date-time" },
    notes: { type: "string", maxLength: 4096 },
    webhookUrl: { type: "string", format: "uri" },
    externalId: { type: "string", maxLength: 200 },
  },
};
const bulk = {
  type: "object",
  required: ["messages"],
  properties: { messages: { type: "array", minItems: 1, maxItems: 1000, items: message } },
};

const app = fastify({ bodyLimit: 64 * 1024 * 1024 });
app.addHook("onRequest", async (request, reply) => {
  const given = request.headers["x-api-key"];
  if (!given || !timingSafeEqual(digest(given), key)) {
    return reply.code(401).send({ statusCode: 401, message: "invalid key", error: "Unauthorized" });
  }
});

const record = (body) => ({ ...body, messageType: body.messageType ?? "GERAL", createdAt: new Date().toISOString() });

app.post("/queue/send", { schema: { body: message } }, async (request, reply) => {
  const data = record(request.body);
  const job = await queue.add("message", data);
  return reply.code(201).send({ id: job.id, status: "PENDING", ...data });
});

app.post("/queue/bulk", { schema: { body: bulk } }, async (request, reply) => {
  const jobs = await queue.addBulk(request.body.messages.map((body) => ({ name: "message", data: record(body) })));
  return reply.code(201).send({ accepted: jobs.length, results: jobs.map((job, index) => ({ index, id: job.id })) });
});

app.get("/stats", async () => {
  const memory = await redis.info("memory");
  const field = (name) => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(memory)[1]);
  return { counts: await queue.getJobCounts("wait", "active", "completed", "failed"), rss: field("used_memory_rss"), used: field("used_memory") };
});

await app.listen({ host: "127.0.0.1", port: 0 });
console.log(JSON.stringify({ port: app.server.address().port }));
// The bench ends this process by closing its standard input.
process.stdin.on("end", () => process.exit(0)).resume();
