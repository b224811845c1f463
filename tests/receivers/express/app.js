// A webhook receiver in Express behind verigate: every request that arrives here is genuine and new.
"use strict";

const { createHash } = require("node:crypto");
const { appendFileSync } = require("node:fs");
const express = require("express");

const SEEN = [
  "X-Verigate-Event-Id",
  "X-Verigate-Event-Type",
  "X-Verigate-Verdict",
  "X-Verigate-Secret",
  "X-Webhook-Signature-256",
  "X-Forwarded-For",
];

const app = express();
app.use(express.raw({ type: () => true, limit: "2mb" }));

app.post(/.*/, (request, response) => {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  note({
    path: request.path,
    sha256: createHash("sha256").update(body).digest("hex"),
    length: body.length,
    headers: Object.fromEntries(SEEN.map((name) => [name, request.get(name) ?? null])),
  });
  response.json({ received: request.get("X-Verigate-Event-Id") ?? null });
});

function note(entry) {
  if (process.env.RECEIVED) {
    appendFileSync(process.env.RECEIVED, JSON.stringify(entry) + "\n");
  }
}

const port = Number(process.argv[2] ?? process.env.PORT ?? 3000);
const server = app.listen(port, "127.0.0.1", () => console.log(`ready ${server.address().port}`));
