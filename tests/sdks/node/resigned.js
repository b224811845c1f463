// Asks the libraries of Standard Webhooks about requests as an app behind the gateway gets them. Each line of standard
// input is one request: `secret`, `headers` and `body_b64`. A library must accept it as it is, and refuse it with another
// body, another id, another time or another secret. One line is printed for each library.

import { readFileSync } from "node:fs";

const OTHER = "whsec_" + Buffer.alloc(32, 1).toString("base64");
const lines = readFileSync(0, "utf8").trim().split("\n").map((line) => JSON.parse(line));

function verdict(Webhook, secret, body, headers) {
  try {
    new Webhook(secret).verify(body, headers);
  } catch (why) {
    // The body need not be JSON: it is parsed once the signature holds.
    return why instanceof SyntaxError ? "accepted" : `refused: ${why.message}`;
  }
  return "accepted";
}

for (const library of ["standardwebhooks", "svix"]) {
  let Webhook;
  try {
    ({ Webhook } = await import(library));
  } catch (why) {
    console.log(JSON.stringify({ missing: library, why: String(why.message) }));
    continue;
  }
  const wrong = [];
  for (const line of lines) {
    const { secret, headers } = line;
    const body = Buffer.from(line.body_b64, "base64").toString("utf8");
    const later = String(Number(headers["webhook-timestamp"]) + 1);
    const cases = [
      ["as it is", secret, body, headers, true],
      ["another body", secret, body + " ", headers, false],
      ["another id", secret, body, { ...headers, "webhook-id": "0".repeat(32) }, false],
      ["another time", secret, body, { ...headers, "webhook-timestamp": later }, false],
      ["another secret", OTHER, body, headers, false],
    ];
    for (const [name, ...request] of cases) {
      const isGood = request.pop();
      const found = verdict(Webhook, ...request);
      if ((found === "accepted") !== isGood) wrong.push(`${line.name}, ${name}: ${found}`);
    }
  }
  console.log(JSON.stringify({ library, asked: lines.length, wrong }));
}
