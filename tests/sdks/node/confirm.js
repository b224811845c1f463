// SDKs that can only verify, and confirm what `verigate sign` makes for the preset of their provider.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

import { ORIGIN, confirmed, event, fresh, seconds } from "./deliveries.js";

const whsec = () => `whsec_${randomBytes(24).toString("base64")}`;

// Where a part of a package is imported, and not all of it.
export const parts = {
  "@linear/sdk": "@linear/sdk/webhooks",
  "@saleor/app-sdk": "@saleor/app-sdk/auth",
  "pg-sdk-node": "pg-sdk-node/dist/common/CommonUtils.js",
};

export const confirming = {
  async "@shopify/shopify-api"({ ApiVersion, shopifyApi }) {
    await import("@shopify/shopify-api/adapters/web-api");
    const secret = "shpss_shopify0client0secret";
    const shop = { "X-Shopify-Shop-Domain": "shop.myshopify.com", "X-Shopify-API-Version": ApiVersion.October25 };
    const more = { "X-Shopify-Topic": "orders/create", ...shop };
    const app = { apiKey: "none", apiSecretKey: secret, apiVersion: ApiVersion.October25, hostName: "example.com" };
    const { webhooks } = shopifyApi({ ...app, isEmbeddedApp: false, scopes: [], logger: { level: 0 } });
    const verify = async (headers, body) => {
      const rawRequest = new Request(`${ORIGIN}/in/shopify`, { method: "POST", headers, body });
      return (await webhooks.validate({ rawBody: body, rawRequest })).valid;
    };
    return [await confirmed(verify, event({ id: 1 }), "shopify", secret, { more })];
  },

  async "@linear/sdk"({ LinearWebhookClient }) {
    const secret = "lin_wh_secret";
    const client = new LinearWebhookClient(secret);
    const verify = (headers, body) => client.verify(Buffer.from(body), headers["linear-signature"]);
    const places = { action: "create", type: "Issue", organizationId: fresh(), webhookTimestamp: Date.now() };
    return [await confirmed(verify, event(places), "linear", secret)];
  },

  async "webflow-api"({ WebflowClient }) {
    const secret = "webflow-client-secret";
    const { webhooks } = new WebflowClient({ accessToken: "none" });
    const verify = (headers, body) => webhooks.verifySignature({ headers, body, secret });
    return [await confirmed(verify, event({ triggerType: "form_submission", payload: {} }), "webflow", secret)];
  },

  async "cashfree-pg"({ Cashfree, CFEnvironment }) {
    const secret = "cfsk_cashfree_client_secret";
    const cashfree = new Cashfree(CFEnvironment?.SANDBOX, "none", secret);
    const verify = (headers, body) =>
      Boolean(
        cashfree.PGVerifyWebhookSignature(headers["x-webhook-signature"], body, headers["x-webhook-timestamp"]),
      );
    const places = { type: "PAYMENT_SUCCESS_WEBHOOK", data: { order: { order_id: fresh() } } };
    return [await confirmed(verify, event(places), "cashfree", secret)];
  },

  async chargebee({ basicAuthValidator }) {
    const secret = "hook-user:pass:word é";
    const validate = basicAuthValidator((user, password) => `${user}:${password}` === secret);
    const verify = (headers) => validate(headers);
    const body = event({ id: fresh("ev_"), event_type: "subscription_created" });
    return [await confirmed(verify, body, "chargebee", secret, { coversBody: false })];
  },

  async "pg-sdk-node"({ CommonUtils }) {
    // The secret of a route is the hash of both, which is all that PhonePe sends.
    const [username, password] = ["merchant", "phonepe:password"];
    const secret = CommonUtils.calculateSha256({ username, password });
    const verify = (headers) => CommonUtils.isCallbackValid(username, password, headers.authorization);
    const body = event({ event: "checkout.order.completed", payload: { orderId: fresh() } });
    return [await confirmed(verify, body, "phonepe", secret, { coversBody: false })];
  },

  async grammy({ Bot, webhookCallback }) {
    const secret = fresh("telegram-secret_");
    const botInfo = { id: 1, is_bot: true, first_name: "bot", username: "bot" };
    const handle = webhookCallback(new Bot("1:none", { botInfo }), "std/http", { secretToken: secret });
    const verify = async (headers, body) => {
      const answer = await handle(new Request(`${ORIGIN}/in/telegram`, { method: "POST", headers, body }));
      return answer.status === 200;
    };
    const body = event({ update_id: seconds(), message: { message_id: 1, date: seconds(), chat: { id: 1 } } });
    return [await confirmed(verify, body, "telegram", secret, { coversBody: false })];
  },

  async acuityscheduling({ default: acuity }) {
    const secret = "acuity-api-key";
    const verify = (headers, body) => acuity.verifyMessageSignature(secret, body, headers["x-acuity-signature"]);
    const body = new URLSearchParams({ action: "scheduled", id: fresh(), calendarID: 1 }).toString();
    return [await confirmed(verify, body, "acuity-scheduling", secret)];
  },

  async "@novu/framework"({ Client, NovuRequestHandler }) {
    const secret = "novu-secret-key";
    const client = new Client({ secretKey: secret, strictAuthentication: true });
    const handler = new NovuRequestHandler({ frameworkName: "none", client, workflows: [], handler: () => ({}) });
    // It takes the body apart and signs what it writes of it.
    const verify = (headers, body) => handler.validateHmac(JSON.parse(body), headers["novu-signature"]);
    return [await confirmed(verify, event({ payload: {}, subscriber: { id: fresh() } }), "novu", secret)];
  },

  async "crisp-api"({ Crisp }) {
    const secret = "crisp-signing-secret";
    const crisp = new Crisp();
    // The check that `verifyHook` makes once hooks are listened to.
    const verify = (headers, body) => {
      const [stamp, signature] = ["x-crisp-request-timestamp", "x-crisp-signature"].map((name) => headers[name]);
      return crisp.__verifySignature(secret, JSON.parse(body), stamp, signature);
    };
    const places = { website_id: fresh(), event: "message:send", timestamp: Date.now(), data: {} };
    return [await confirmed(verify, event(places), "crisp", secret)];
  },

  async "paymongo-node"({ default: paymongo }) {
    const secret = "whsk_paymongo";
    const { webhooks } = paymongo("sk_test_none");
    const verify = (headers, body) => {
      const signatureHeader = headers["paymongo-signature"];
      return webhooks.constructEvent({ payload: body, signatureHeader, webhookSecretKey: secret });
    };
    const places = { data: { id: fresh("evt_"), type: "event", attributes: { type: "payment.paid" } } };
    // The item of the other mode, which is empty, and which its library wants to see.
    return [await confirmed(verify, event(places), "paymongo", secret, { behind: ",li=" })];
  },

  async "@whop/sdk"({ default: Whop }) {
    const secret = "ws_whop0webhook0secret";
    // Its documentation has the app write the secret in base64, because its library decodes it.
    const key = Buffer.from(secret).toString("base64");
    const { webhooks } = new Whop({ apiKey: "none", webhookKey: key });
    const verify = (headers, body) => webhooks.unwrap(body, { headers });
    return [await confirmed(verify, event({ type: "payment.succeeded", data: {} }), "whop", secret)];
  },

  async "extend-ai"({ Webhooks }) {
    const secret = "wss_extend_signing_secret";
    const verify = (headers, body) => new Webhooks().verify(body, headers, secret);
    const places = { eventId: fresh(), eventType: "workflow_run.completed", payload: {} };
    return [await confirmed(verify, event(places), "extend", secret)];
  },

  async "@liveblocks/node"({ WebhookHandler }) {
    const secret = whsec();
    const handler = new WebhookHandler(secret);
    const verify = (headers, rawBody) => handler.verifyRequest({ headers, rawBody });
    return [await confirmed(verify, event({ type: "userEntered", data: {} }), "liveblocks", secret)];
  },

  async "@nangohq/node"({ Nango }) {
    const secret = "nango-webhook-signing-key";
    const nango = new Nango({ apiKey: "none", webhookSigningKey: secret });
    const verify = (headers, body) => nango.verifyIncomingWebhookRequest(body, headers);
    return [await confirmed(verify, event({ type: "sync", connectionId: fresh() }), "nango", secret)];
  },

  async "terra-api"({ verifyTerraWebhookSignature }) {
    const secret = "terra-signing-secret";
    const verify = (headers, body) => verifyTerraWebhookSignature(body, headers["terra-signature"], secret);
    return [await confirmed(verify, event({ type: "activity", user: { user_id: fresh() } }), "terra", secret)];
  },

  async "@team-plain/typescript-sdk"({ verifyPlainWebhook }) {
    const secret = "plain-hmac-secret";
    const verify = (headers, body) => {
      const { data, error } = verifyPlainWebhook(body, headers["plain-request-signature"], secret);
      return error ? false : Boolean(data);
    };
    // It judges the form of the body too: the one of Plain's own test, sent now.
    const all = JSON.parse(readFileSync(new URL("../../vectors/second.json", import.meta.url), "utf8"));
    const places = JSON.parse(Buffer.from(all.find(({ id }) => id === "plain-001").body_b64, "base64"));
    places.webhookMetadata.webhookDeliveryAttemptTimestamp = new Date(seconds() * 1000).toISOString();
    return [await confirmed(verify, JSON.stringify(places), "plain", secret)];
  },

  async "hook0-client"({ verifyWebhookSignature }) {
    const secret = "0e3c4a1c-5d5e-4f0a-9b1c-hook0-secret";
    const more = { "x-event-type": "billing.invoice.paid" };
    const verify = (headers, body) =>
      verifyWebhookSignature(headers["x-hook0-signature"], Buffer.from(body), new Headers(headers), secret, 300);
    return [await confirmed(verify, event({ invoice: fresh() }), "hook0", secret, { more })];
  },
};
