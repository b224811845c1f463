// What the signers share: how a delivery is written, and how an SDK is asked about one that verigate signed.

import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";

export const ORIGIN = "https://hooks.example.com";
export const JSON_TYPE = { "Content-Type": "application/json" };
export const FORM_TYPE = { "Content-Type": "application/x-www-form-urlencoded" };

export const fresh = (prefix = "") => prefix + randomBytes(16).toString("hex");
export const seconds = () => Math.floor(Date.now() / 1000);
export const event = (places) => JSON.stringify({ ...places, note: "é 漢 \u{1f512} <&>" });

export function delivery(provider, secret, headers, body, options = {}) {
  const { path = `/in/${provider}`, method = "POST", proof = "signed", flip } = options;
  const body_b64 = Buffer.from(body, "utf8").toString("base64");
  return { provider, proof, secret, method, url: ORIGIN + path, headers, body_b64, flip };
}

// The delivery that `verigate sign` makes. `verify(headers, body)` must hold for it, and for no changed one: it says no
// by false or by an exception. The names of the headers are in lower case there. `more` are headers that the gateway
// asks for, `behind` is text that the provider writes behind each signature; nothing looks at the body where it is not
// covered.
export async function confirmed(verify, body, provider, secret, { more = {}, behind = "", coversBody = true } = {}) {
  const [all, path] = [{ ...more }, `/in/${provider}/confirmed`];
  for (const [name, value] of Object.entries(verigateSigns(provider, secret, body, path, more))) {
    all[name] = isSignature(name) ? value + behind : value;
  }
  const headers = Object.fromEntries(Object.entries(all).map(([name, value]) => [name.toLowerCase(), value]));
  const holds = async (headers, body) => {
    try {
      return (await verify(headers, body)) !== false;
    } catch {
      return false;
    }
  };
  if ((await verify(headers, body)) === false) throw new Error(`the SDK of ${provider} refuses what verigate signed`);
  if (coversBody && (await holds(headers, flipped(body)))) {
    throw new Error(`the SDK of ${provider} accepts a changed body`);
  }
  for (const name of Object.keys(headers).filter(isSignature)) {
    if (await holds({ ...headers, [name]: flipped(headers[name]) }, body)) {
      throw new Error(`the SDK of ${provider} accepts a changed ${name}`);
    }
  }
  return delivery(provider, secret, { ...JSON_TYPE, ...all }, body, { proof: "confirmed", path });
}

function isSignature(name) {
  return /signature|hmac|authorization|secret-token/i.test(name);
}

function verigateSigns(provider, secret, body, path, more) {
  const headers = Object.entries(more).flatMap(([name, value]) => ["--header", `${name}: ${value}`]);
  const command = ["sign", "--provider", provider, "--secret", "env:SDK_SECRET", "--url", ORIGIN + path];
  const made = spawnSync(process.env.VERIGATE ?? "verigate", [...command, ...headers], {
    input: body,
    env: { ...process.env, SDK_SECRET: secret },
    encoding: "utf8",
  });
  if (made.error) throw new Error(`verigate: ${made.error.message}`);
  if (made.status !== 0) throw new Error(`verigate ${command.join(" ")}: ${made.stderr}`);
  const lines = made.stdout.split("\n").filter((line) => line);
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
}

// The text with a character changed near its end, where a signature is; the last ones may be padding. In a body it is
// one of the last text, so that it stays JSON.
function flipped(text) {
  const at = text.length - 5;
  return text.slice(0, at) + (text[at] === "0" ? "1" : "0") + text.slice(at + 1);
}
