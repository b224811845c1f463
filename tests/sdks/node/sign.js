// One delivery for each webhook SDK of npm, signed now, as one JSON object a line on standard output. The SDKs here can
// sign; those of confirm.js can only verify, and confirm what `verigate sign` makes. A package that is not there is said
// as {"missing": ..., "why": ...}. The fields are those of ../python/sign.py.

import { createHash, createHmac, generateKeyPairSync, randomBytes, sign, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";

// Node 18 does not show it, and several of the SDKs ask for it there.
globalThis.crypto ??= webcrypto;

import { confirming, parts } from "./confirm.js";
import { FORM_TYPE, JSON_TYPE, ORIGIN, confirmed, delivery, event, fresh, seconds } from "./deliveries.js";

const rsaKeys = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
const jsonPart = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const rsaSignature = (text, key) => sign("sha256", Buffer.from(text), key).toString("base64url");

async function refuses(verify, provider) {
  const taken = await verify().then(
    () => true,
    () => false,
  );
  if (taken) throw new Error(`the SDK of ${provider} accepts a changed body`);
}

const signers = {
  async "@octokit/webhooks-methods"({ sign }) {
    const secret = "octokit-webhook-secret";
    const body = event({ action: "opened", number: 7 });
    const headers = { ...JSON_TYPE, "X-GitHub-Event": "pull_request", "X-GitHub-Delivery": webcrypto.randomUUID() };
    return [delivery("github", secret, { ...headers, "X-Hub-Signature-256": await sign(secret, body) }, body)];
  },

  async "@sanity/webhook"({ encodeSignatureHeader }) {
    const secret = "sanity-webhook-secret";
    const body = event({ _id: fresh(), _type: "post" });
    const header = await encodeSignatureHeader(body, Date.now(), secret);
    const headers = { ...JSON_TYPE, "sanity-webhook-signature": header, "idempotency-key": fresh() };
    return [delivery("sanity", secret, headers, body)];
  },

  async "@mux/mux-node"({ default: Mux }) {
    const secret = "mux-webhook-secret";
    const body = event({ id: fresh(), type: "video.asset.ready" });
    const stamp = seconds();
    const { webhooks } = new Mux({ tokenId: "none", tokenSecret: "none", webhookSecret: secret });
    const digest = await webhooks.computeSignature(`${stamp}.${body}`, secret);
    return [delivery("mux", secret, { ...JSON_TYPE, "Mux-Signature": `t=${stamp},v1=${digest}` }, body)];
  },

  async "@contentful/node-apps-toolkit"({ signRequest }) {
    const secret = fresh() + fresh();
    const path = "/in/contentful?b=2&a=%20x";
    const body = event({ sys: { id: fresh(), type: "Entry" } });
    const headers = { "content-type": "application/json", "x-contentful-topic": "ContentManagement.Entry.publish" };
    const request = { method: "POST", path, headers: { ...headers }, body };
    const signed = signRequest(secret, request, Date.now(), { spaceId: "space", appId: "app" });
    return [delivery("contentful", secret, { ...headers, ...signed }, body, { path })];
  },

  async stripe({ default: Stripe }) {
    const secret = "whsec_stripe0sdk0node0test";
    const body = event({ id: fresh("evt_"), object: "event", type: "charge.failed" });
    const { webhooks } = new Stripe("none");
    const header = webhooks.generateTestHeaderString({ payload: body, secret });
    // As while secrets rotate: one header with two signatures, of which the gateway knows the second one's secret.
    const timestamp = Number(/^t=(\d+)/.exec(header)[1]);
    const other = webhooks.generateTestHeaderString({ payload: body, secret: "whsec_rotated0away", timestamp });
    const both = `${other},${header.split(",")[1]}`;
    return [delivery("stripe", secret, { ...JSON_TYPE, "Stripe-Signature": both }, body)];
  },

  async standardwebhooks({ Webhook }) {
    const secret = `whsec_${randomBytes(32).toString("base64")}`;
    const body = event({ type: "contact.updated" });
    const id = fresh("msg_");
    const moment = new Date();
    const headers = {
      ...JSON_TYPE,
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(moment.getTime() / 1000)),
      "webhook-signature": new Webhook(secret).sign(id, moment, body),
    };
    return [delivery("standard-webhooks", secret, headers, body)];
  },

  async twilio({ default: twilio }) {
    const secret = "node0twilio0auth0token";
    const form = { CallSid: fresh("CA"), From: "é & =", To: ["+2", "+10", "+2"], a: "lower", B: "upper", empty: "" };
    const pairs = Object.entries(form).flatMap(([name, all]) => [all].flat().map((value) => [name, value]));
    const json = event({ MessageSid: fresh("SM") });
    const cases = [
      [FORM_TYPE, "/in/twilio?x=%20y", form, new URLSearchParams(pairs).toString()],
      [JSON_TYPE, `/in/twilio-json?bodySHA256=${twilio.getExpectedBodyHash(json)}`, null, json],
    ];
    // The library must take the other spelling too, or this is no test of what it takes.
    const spelled = [
      ["sip:1@192.0.2.1", "sip%3A1%40192.0.2.1"],
      ["O%27Brien", "O'Brien"],
      ["O'Brien", "O%27Brien"],
      ["a+b", "a%20b"],
    ];
    for (const [at, [sent, signed]] of spelled.entries()) {
      const parameters = { CallSid: fresh("CA") };
      const [url, other] = [sent, signed].map((caller) => `${ORIGIN}/in/twilio-${at}?Caller=${caller}`);
      const signature = twilio.getExpectedTwilioSignature(secret, other, parameters);
      if (!twilio.validateRequest(secret, signature, url, parameters)) throw new Error(`not taken: ${url}`);
      cases.push([FORM_TYPE, url.replace(ORIGIN, ""), parameters, new URLSearchParams(parameters).toString(), other]);
    }
    return cases.map(([kind, path, parameters, body, signedUrl = ORIGIN + path]) => {
      const signature = twilio.getExpectedTwilioSignature(secret, signedUrl, parameters);
      const headers = { ...kind, "X-Twilio-Signature": signature, "I-Twilio-Idempotency-Token": fresh() };
      return delivery("twilio", secret, headers, body, { path });
    });
  },

  async "@kontent-ai/webhook-helper"({ signatureHelper }) {
    const secret = Buffer.from("kontent-ai secret, used as text").toString("base64");
    const body = signatureHelper.replaceLinebreaks(JSON.stringify({ message: { id: fresh() }, data: [1] }, null, 2));
    const headers = { ...JSON_TYPE, "X-Kontent-ai-Signature": signatureHelper.getHashFromString(body, secret) };
    return [delivery("kontent-ai", secret, headers, body)];
  },

  async "livekit-server-sdk"({ AccessToken }) {
    const secret = "livekit-api-secret-of-32-bytes-?";
    const body = event({ id: fresh("EV_"), event: "room_finished" });
    const token = new AccessToken("APIkey", secret, { ttl: 300 });
    token.sha256 = createHash("sha256").update(body).digest("base64");
    const headers = { "Content-Type": "application/webhook+json", Authorization: await token.toJwt() };
    return [delivery("livekit", secret, headers, body)];
  },

  async "@notionhq/client"({ signWebhookPayload, verifyWebhookSignature }) {
    const secret = "secret_notion0verification0token";
    const places = () => ({ id: fresh(), workspace_id: fresh(), type: "page.content_updated" });
    const body = event(places());
    const signature = await signWebhookPayload({ body, verificationToken: secret });
    const verify = (headers, body) =>
      verifyWebhookSignature({ body, signature: headers["x-notion-signature"], verificationToken: secret });
    return [
      delivery("notion", secret, { ...JSON_TYPE, "X-Notion-Signature": signature }, body),
      await confirmed(verify, event(places()), "notion", secret),
    ];
  },

  async "@metronome/sdk"({ default: Metronome }) {
    const secret = "metronome-webhook-secret";
    const { webhooks } = new Metronome({ bearerToken: "none" });
    const body = event({ id: fresh(), type: "alerts.low_remaining_credit_balance_reached" });
    const date = new Date().toUTCString();
    const headers = { ...JSON_TYPE, "X-Metronome-Date": date };
    headers["Metronome-Webhook-Signature"] = webhooks.signPayload(body, { date, secret });
    const verify = (headers, body) => webhooks.verifySignature(body, headers, secret);
    return [
      delivery("metronome", secret, headers, body),
      await confirmed(verify, event({ id: fresh(), type: "invoice.finalized" }), "metronome", secret),
    ];
  },

  async "@shopware-ag/app-server-sdk"({ AppServer, InMemoryShopRepository }) {
    const secret = "shopware-shop-secret";
    const configuration = { appName: "app", appSecret: "none", authorizeCallbackUrl: `${ORIGIN}/callback` };
    const { signer } = new AppServer(configuration, new InMemoryShopRepository());
    const places = () => ({ source: { shopId: fresh() }, data: { event: "product.written", payload: [{ id: fresh() }] } });
    const body = event(places());
    const headers = { ...JSON_TYPE, "shopware-shop-signature": await signer.sign(body, secret) };
    const verify = (headers, body) => signer.verify(headers["shopware-shop-signature"], body, secret);
    return [
      delivery("shopware", secret, headers, body),
      await confirmed(verify, event(places()), "shopware", secret),
    ];
  },

  async "atlassian-jwt"({ createQueryStringHash, encodeSymmetric, fromMethodAndUrl }) {
    const [secret, path] = ["jira-connect-shared-secret-of-32-", "/in/jira-connect?b=2&a=%20x&B=1"];
    const qsh = createQueryStringHash(fromMethodAndUrl("POST", path));
    const claims = { iss: fresh("jira:"), iat: seconds(), exp: seconds() + 180, qsh };
    const headers = { ...JSON_TYPE, Authorization: `JWT ${encodeSymmetric(claims, secret)}` };
    return [delivery("jira-connect", secret, headers, event({ webhookEvent: "jira:issue_created" }), { path })];
  },

  async "@saleor/app-sdk"({ verifySignatureWithJwks }) {
    // It only verifies. The token is made by Saleor's rule: detached, over the body as it is.
    const { privateKey, publicKey } = rsaKeys();
    const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "1", alg: "RS256", use: "sig" }] });
    const body = event({ id: fresh() });
    const head = jsonPart({ alg: "RS256", kid: "1", b64: false, crit: ["b64"], typ: "JWT" });
    const token = `${head}..${rsaSignature(`${head}.${body}`, privateKey)}`;
    await verifySignatureWithJwks(jwks, token, body);
    await refuses(() => verifySignatureWithJwks(jwks, token, `${body} `), "saleor");
    const headers = { ...JSON_TYPE, "Saleor-Event": "order_created", "Saleor-Signature": token };
    return [delivery("saleor", jwks, headers, body, { proof: "accepted" })];
  },

  async opennode({ setCredentials, signatureIsValid }) {
    // It only verifies, and looks at the id of the charge alone.
    const [secret, id] = ["opennode-api-key", fresh()];
    setCredentials(secret, "dev");
    const charge = { id, status: "paid", hashed_order: createHmac("sha256", secret).update(id).digest("hex") };
    const taken = await Promise.all([charge, { ...charge, id: `${id}0` }].map(signatureIsValid));
    if (!taken[0] || taken[1]) throw new Error("the SDK of opennode does not look at the id");
    const body = new URLSearchParams(charge).toString();
    return [delivery("opennode", secret, FORM_TYPE, body, { proof: "accepted", flip: id })];
  },

  async "@wix/sdk"({ AppStrategy, createClient }) {
    // It only verifies. The body is a token, whose claim holds JSON text, which holds JSON text.
    const { privateKey, publicKey } = rsaKeys();
    const pem = publicKey.export({ type: "spki", format: "pem" });
    const client = createClient({ auth: AppStrategy({ appId: "app", publicKey: pem }), modules: {} });
    const order = JSON.stringify({ id: fresh(), entityFqdn: "wix.ecom.v1.order", slug: "approved" });
    const data = JSON.stringify({ data: order, instanceId: fresh(), eventType: "wix.ecom.v1.order_approved" });
    const claims = jsonPart({ data, iat: seconds(), exp: seconds() + 300 });
    const content = `${jsonPart({ alg: "RS256", typ: "JWT" })}.${claims}`;
    const body = `${content}.${rsaSignature(content, privateKey)}`;
    await client.webhooks.process(body);
    await refuses(() => client.webhooks.process(body.replace(claims, claims.toLowerCase())), "wix");
    return [delivery("wix", pem, { "Content-Type": "text/plain" }, body, { proof: "accepted" })];
  },
};

function version(name) {
  const file = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")).version;
}

for (const [name, signer] of Object.entries({ ...signers, ...confirming })) {
  let lines;
  try {
    const [sdk, module] = [`${name} ${version(name)}`, await import(parts[name] ?? name)];
    lines = (await signer(module)).map((line) => ({ sdk, ...line }));
  } catch (why) {
    if (!["ENOENT", "ERR_MODULE_NOT_FOUND"].includes(why.code)) throw why;
    lines = [{ missing: name, why: `not in ${new URL("node_modules", import.meta.url).pathname}` }];
  }
  for (const line of lines) console.log(JSON.stringify(line));
}
