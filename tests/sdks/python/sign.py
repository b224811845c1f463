#!/usr/bin/env python3
"""One delivery for each webhook SDK of PyPI, signed now, as one JSON object a line on standard output.

The SDKs here can sign, and do so by their own function (`"proof": "signed"`). Those that can only verify are asked the
other way round: `accept.py` signs by the provider's published rule (`"proof": "accepted"`), and in `confirm.py`
`verigate sign` does (`"proof": "confirmed"`, with the program that the variable `VERIGATE` names). Such an SDK must
accept the delivery and refuse it for another body or signature. A package that is not there is said as
`{"missing": ..., "why": ...}`.

`flip` is the text in the body at which a change must be seen, where the signature covers no more than that.
"""

import base64
import hashlib
import json
import uuid
from datetime import datetime, timezone
from importlib import metadata
from urllib.parse import urlencode

import accept  # noqa: F401 (it registers its SDKs)
import confirm  # noqa: F401
from deliveries import (
    FORM_TYPE,
    JSON_TYPE,
    ORIGIN,
    SIGNERS,
    confirmed,
    delivery,
    event,
    fresh,
    milliseconds,
    raises_none,
    sdk,
    seconds,
)


@sdk("stripe")
def stripe():
    from stripe import WebhookSignature

    secret, body = "whsec_stripe0sdk0python0test", event(id=fresh("evt_"), object="event", type="charge.succeeded")
    header = WebhookSignature.generate_signature_header(body, secret)
    yield delivery("stripe", secret, {"Stripe-Signature": header}, body)


@sdk("svix")
def svix():
    from svix.webhooks import Webhook

    secret = "whsec_" + base64.b64encode(b"svix sdk test secret 32 bytes ok").decode()
    # Those who send by Svix have its scheme, under their own name.
    for provider in ("svix", "clerk", "stytch", "vanta"):
        moment, name, body = datetime.now(timezone.utc), fresh("msg_"), event(type="user.created")
        headers = {
            "svix-id": name,
            "svix-timestamp": str(int(moment.timestamp())),
            "svix-signature": Webhook(secret).sign(name, moment, body),
        }
        yield delivery(provider, secret, headers, body)


@sdk("standardwebhooks")
def standard_webhooks():
    from standardwebhooks import Webhook

    old, secret = (base64.b64encode(text).decode() for text in (b"the old one, 24 bytes !!", b"\x00\xfb\xff" * 9))
    moment, name, body = datetime.now(timezone.utc), fresh("msg_"), event(type="contact.created")
    # As while secrets rotate: two signatures, of which the gateway knows the second one's secret.
    signatures = [Webhook(key).sign(name, moment, body) for key in (old, "whsec_" + secret)]
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    yield delivery("standard-webhooks", "whsec_" + secret, headers, body)

    # Providers whose receivers use this library: the secret as it is shown, and as the library takes it.
    client, encoded = "bigcommerce client secret", secret
    shown = {
        "bigcommerce": (client, base64.b64encode(client.encode()).decode()),
        "supabase-auth": ("v1,whsec_" + encoded, encoded),
    }
    alike = ("make", "signatureapi", "formbricks", "higgsfield", "etsy", "brex", "render", "incident-io", "gemini")
    for provider, (ours, key) in {**shown, **dict.fromkeys(alike, ("whsec_" + encoded, encoded))}.items():
        moment, name, body = datetime.now(timezone.utc), fresh("msg_"), event(type="contact.created")
        headers = {
            "webhook-id": name,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(key).sign(name, moment, body),
        }
        if provider == "make":
            headers["Webhook-Topic"] = "contact.created"
        yield delivery(provider, ours, headers, body)


@sdk("slack-sdk")
def slack():
    from slack_sdk.signature import SignatureVerifier

    secret = "slack-signing-secret"
    command = urlencode({"token": "t", "command": "/weather", "text": "94070 & é", "trigger_id": fresh()})
    for path, kind, body in (
        ("/in/slack", JSON_TYPE, event(type="event_callback", event_id=fresh("Ev"), event={"type": "app_mention"})),
        ("/in/slack-form", FORM_TYPE, command),
    ):
        stamp = str(seconds())
        signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
        headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}
        yield delivery("slack", secret, headers, body, path=path, kind=kind)


@sdk("twilio")
def twilio():
    from twilio.request_validator import RequestValidator

    secret = "python0twilio0auth0token"
    sign = RequestValidator(secret).compute_signature
    form = {"CallSid": fresh("CA"), "Caller": "+14158675309", "Digits": "1234", "From": "é & =", "Empty": ""}
    cases = [
        ("POST", "/in/twilio", form, FORM_TYPE, urlencode(form)),
        ("GET", f"/in/twilio-get?CallSid={fresh('CA')}&Digits=1234", None, None, ""),
    ]
    body = event(MessageSid=fresh("SM"))
    digest = RequestValidator(secret).compute_hash(body)
    cases.append(("POST", f"/in/twilio-json?bodySHA256={digest}", None, JSON_TYPE, body))
    for method, path, parameters, kind, body in cases:
        headers = {"X-Twilio-Signature": sign(ORIGIN + path, parameters), "I-Twilio-Idempotency-Token": fresh()}
        yield delivery("twilio", secret, headers, body, path=path, method=method, kind=kind)


@sdk("hubspot-api-client")
def hubspot():
    from hubspot.utils.signature import Signature

    secret, path, stamp = "hubspot-client-secret", "/in/hubspot?portal=62515", str(milliseconds())
    body = json.dumps([{"eventId": uuid.uuid4().int >> 80, "subscriptionType": "contact.creation"}])
    signature = Signature.get_signature(secret, body, "v3", ORIGIN + path, "POST", stamp)
    headers = {"X-HubSpot-Request-Timestamp": stamp, "X-HubSpot-Signature-v3": signature}
    yield delivery("hubspot", secret, headers, body, path=path)


@sdk("retell-sdk")
def retell():
    from retell.lib.webhook_auth import symmetric

    secret, body = "key_retell0sdk0test", event(event="call_ended", call={"call_id": fresh()})
    yield delivery("retell", secret, {"X-Retell-Signature": symmetric["sign"](body, secret)}, body)


@sdk("boxsdk")
def box():
    from box_sdk_gen.internal.utils import compute_webhook_signature

    primary, secondary = "box-primary-key", "box-secondary-key"
    for path, escaped, keys in (
        ("/in/box", False, (primary, "rotated away")),
        ("/in/box-escaped", True, ("another", secondary)),
    ):
        body = event(type="webhook_event", id=fresh(), trigger="FILE.UPLOADED")
        headers = {
            "box-delivery-id": fresh(),
            "box-delivery-timestamp": datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds"),
            "box-signature-version": "1",
            "box-signature-algorithm": "HmacSHA256",
        }
        first, second = (compute_webhook_signature(body, headers, key, escape_body=escaped) for key in keys)
        headers = {**headers, "box-signature-primary": first, "box-signature-secondary": second}
        yield delivery("box", secondary if escaped else primary, headers, body, path=path)


@sdk("paddle-python-sdk")
def paddle():
    from paddle_billing.Notifications.PaddleSignature import PaddleSignature

    secret = "pdl_ntfset_sdk_test/secret+="
    body, stamp = event(event_id=fresh("evt_"), event_type="transaction.completed"), seconds()
    digest = PaddleSignature.calculate_hmac(secret, f"{stamp}:{body}".encode()).hexdigest()
    yield delivery("paddle", secret, {"Paddle-Signature": f"ts={stamp};h1={digest}"}, body)


@sdk("pusher")
def pusher():
    from pusher.signature import sign

    secret, body = "pusher-app-secret", event(time_ms=milliseconds(), events=[{"name": "channel_occupied"}])
    yield delivery("pusher", secret, {"X-Pusher-Key": "key", "X-Pusher-Signature": sign(secret, body)}, body)


@sdk("plivo")
def plivo():
    from plivo.utils.signature_v3 import construct_get_url, construct_post_url, get_signature_v3

    secret, nonce = "plivo-auth-token", str(uuid.uuid4().int)[:20]
    form = {"CallUUID": fresh(), "From": "14155551234", "To": "é & ="}
    path, get_path = "/in/plivo?b=2&a=1", f"/in/plivo-get?To=2&CallUUID={fresh()}&n=1"
    for method, path, body, signed in (
        ("POST", path, urlencode(form), construct_post_url(ORIGIN + path, dict(form))),
        ("GET", get_path, "", construct_get_url(ORIGIN + get_path, {})),
    ):
        signature = get_signature_v3(secret.encode(), signed.decode(), nonce).decode()
        headers = {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": nonce}
        yield delivery("plivo", secret, headers, body, path=path, method=method, kind=FORM_TYPE)


@sdk("adyen")
def adyen():
    from Adyen.util import generate_notification_sig

    secret, reference = "0123456789abcdef" * 4, fresh()
    item = {
        "pspReference": reference,
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "order/7",
        "amount": {"value": 1130, "currency": "EUR"},
        "eventCode": "AUTHORISATION",
        "success": "true",
    }
    signature = generate_notification_sig(item, secret).decode()
    # A notification in JSON holds a single item.
    item["additionalData"] = {"hmacSignature": signature}
    body = json.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]})
    yield delivery("adyen", secret, {}, body, flip=reference)


@sdk("braintree")
def braintree():
    import braintree

    public, private = "braintree_public_key", "braintree_private_key"
    gateway = braintree.BraintreeGateway(
        braintree.Configuration(braintree.Environment.Sandbox, "merchant", public, private)
    )
    kind = braintree.WebhookNotification.Kind.SubscriptionWentPastDue
    body = urlencode(gateway.webhook_testing.sample_notification(kind, fresh()))
    yield delivery("braintree", f"{public}:{private}", {}, body, kind=FORM_TYPE)


@sdk("livekit-api")
def livekit():
    from livekit.api import AccessToken

    secret, body = "livekit-api-secret-of-32-bytes-!", event(id=fresh("EV_"), event="room_started")
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    token = AccessToken("APIkey", secret).with_sha256(digest).to_jwt()
    yield delivery("livekit", secret, {"Authorization": token}, body, kind="application/webhook+json")


@sdk("modern-treasury")
def modern_treasury():
    from modern_treasury import ModernTreasury

    secret, body = "modern-treasury-webhook-key", event(event="completed", data={"id": fresh()})
    webhooks = ModernTreasury(api_key="none", organization_id="none").webhooks
    headers = {"X-Signature": webhooks.get_signature(body, key=secret), "X-Topic": "payment_order"}
    yield delivery("modern-treasury", secret, headers, body)

    def verify(headers, body):
        return webhooks.validate_signature(body, headers, key=secret)

    yield confirmed(verify, event(event="failed", data={"id": fresh()}), "modern-treasury", secret)


@sdk("schematichq")
def schematic():
    from schematic.webhook_utils.verification import compute_hex_signature, verify_signature

    secret, stamp, body = "schematic-webhook-secret", str(seconds()), event(action="company.updated", id=fresh())
    name = "X-Schematic-Webhook-"
    headers = {name + "Signature": compute_hex_signature(body, stamp, secret), name + "Timestamp": stamp}
    yield delivery("schematic", secret, headers, body)

    def verify(headers, body):
        signature, stamp = (headers[name.lower() + part] for part in ("signature", "timestamp"))
        return raises_none(lambda: verify_signature(body, signature, stamp, secret))

    yield confirmed(verify, event(action="company.created", id=fresh()), "schematic", secret)


@sdk("sinch")
def sinch():
    from sinch.domains.authentication.sinch_events.v1 import authentication_validation as validation

    secret, body = "sinch-callback-secret", event(eventId=fresh(), eventType="PROVISIONING", projectId=fresh())
    signature = validation.compute_hmac_signature(body, secret)
    yield delivery("sinch-numbers", secret, {"X-Sinch-Signature": signature}, body)

    nonce, stamp, body = fresh(), str(seconds()), event(project_id=fresh(), event={"id": fresh()})
    signed = validation.compute_signed_data(body, nonce, stamp)
    name = "x-sinch-webhook-signature"
    headers = {
        name: validation.calculate_sinch_event_signature(signed, secret),
        name + "-nonce": nonce,
        name + "-timestamp": stamp,
        name + "-algorithm": "HmacSHA256",
    }
    yield delivery("sinch-conversation", secret, headers, body)


def main():
    for package, signer in SIGNERS:
        try:
            version = metadata.version(package)
            lines = list(signer())
        except ImportError as why:
            lines, version = [{"missing": package, "why": str(why)}], None
        for line in lines:
            print(json.dumps({"sdk": f"{package} {version}", **line} if version else line), flush=True)


if __name__ == "__main__":
    main()
