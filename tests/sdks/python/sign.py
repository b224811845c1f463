#!/usr/bin/env python3
"""One delivery for each webhook SDK of PyPI, signed now, as one JSON object a line on standard output.

An SDK that can sign does so by its own function (`"proof": "signed"`). One that can only verify is asked the other way
round: the signature is made here from the provider's published rule, and the SDK must accept it and refuse it for
another body (`"proof": "accepted"`). A package that is not there is said as `{"missing": ..., "why": ...}`.

`flip` is the text in the body at which a change must be seen, where the signature covers no more than that.
"""

import base64
import contextlib
import hashlib
import hmac
import io
import json
import time
import uuid
from datetime import datetime, timezone
from importlib import metadata
from urllib.parse import urlencode

ORIGIN = "https://hooks.example.com"
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
SIGNERS = []


def sdk(package):
    """Registers a function that returns or yields deliveries made with this package."""

    def register(signer):
        SIGNERS.append((package, signer))
        return signer

    return register


def delivery(provider, secret, headers, body, *, proof="signed", path=None, method="POST", kind=JSON_TYPE, flip=None):
    if body:
        headers = {"Content-Type": kind, **headers}
    line = {
        "provider": provider,
        "proof": proof,
        "secret": secret,
        "method": method,
        "url": ORIGIN + (path or "/in/" + provider),
        "headers": headers,
        "body_b64": base64.b64encode(body.encode()).decode(),
    }
    return {**line, "flip": flip} if flip else line


def accepted(verify, body, *arguments, **keywords):
    """`verify(body)` must hold, and must not for a body that means the same and has one more byte."""
    if not verify(body):
        raise AssertionError(f"{verify} refuses what was signed by its provider's rule")
    # One of them prints why it refuses.
    with contextlib.redirect_stdout(io.StringIO()):
        if verify(body + " "):
            raise AssertionError(f"{verify} accepts a changed body")
    return delivery(*arguments, body=body, proof="accepted", **keywords)


def raises_none(call):
    """Whether `call` comes back: for verifiers that say no by an exception."""
    try:
        call()
    except Exception:
        return False
    return True


def event(**places):
    return json.dumps({**places, "note": "é 漢 \U0001f512 <&>"}, ensure_ascii=False)


def fresh(prefix=""):
    return prefix + uuid.uuid4().hex


def seconds():
    return int(time.time())


def milliseconds():
    return time.time_ns() // 1_000_000


def hmac_hex(secret, content):
    return hmac.new(secret.encode(), content.encode(), hashlib.sha256).hexdigest()


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
    moment, name, body = datetime.now(timezone.utc), fresh("msg_"), event(type="user.created")
    headers = {
        "svix-id": name,
        "svix-timestamp": str(int(moment.timestamp())),
        "svix-signature": Webhook(secret).sign(name, moment, body),
    }
    yield delivery("svix", secret, headers, body)


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


@sdk("messagebird")
def messagebird():
    import jwt
    from messagebird.request_validator import RequestValidator

    secret, path = "messagebird-signature-key-32-byte", "/in/messagebird?a=1&b=%20"
    body, stamp = event(type="message.updated"), seconds()
    claims = {"iss": "MessageBird", "nbf": stamp, "exp": stamp + 60, "jti": fresh()}
    claims["url_hash"] = hashlib.sha256((ORIGIN + path).encode()).hexdigest()
    claims["payload_hash"] = hashlib.sha256(body.encode()).hexdigest()
    token = jwt.encode(claims, secret, algorithm="HS256")
    headers, validator = {"MessageBird-Signature-JWT": token}, RequestValidator(secret)

    def verify(body):
        return raises_none(lambda: validator.validate_signature(token, ORIGIN + path, body.encode()))

    yield accepted(verify, body, "messagebird", secret, headers, path=path)


@sdk("discord-interactions")
def discord():
    from discord_interactions import verify_key
    from nacl.signing import SigningKey

    key, stamp = SigningKey.generate(), str(seconds())
    public, body = key.verify_key.encode().hex(), event(id=fresh(), type=2, data={"name": "hello"})
    signature = key.sign((stamp + body).encode()).signature.hex()
    headers = {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": stamp}

    def verify(body):
        return verify_key(body.encode(), signature, stamp, public)

    yield accepted(verify, body, "discord-interactions", public, headers)


@sdk("sendgrid")
def sendgrid():
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from sendgrid.helpers.eventwebhook import EventWebhook

    key, stamp = ec.generate_private_key(ec.SECP256R1()), str(seconds())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()
    body = json.dumps([{"sg_event_id": fresh(), "event": name} for name in ("processed", "open")]) + "\r\n"
    signature = base64.b64encode(key.sign((stamp + body).encode(), ec.ECDSA(hashes.SHA256()))).decode()
    name = "X-Twilio-Email-Event-Webhook-"
    headers = {name + "Signature": signature, name + "Timestamp": stamp}

    def verify(body):
        return EventWebhook(public).verify_signature(body, signature, stamp)

    yield accepted(verify, body, "sendgrid", public, headers)


@sdk("orb-billing")
def orb():
    from orb import Orb

    secret, body = "orb-webhook-secret", event(id=fresh(), type="customer.created")
    stamp = datetime.now(timezone.utc).replace(tzinfo=None).isoformat(timespec="milliseconds")
    headers = {"X-Orb-Timestamp": stamp, "X-Orb-Signature": "v1=" + hmac_hex(secret, f"v1:{stamp}:{body}")}
    webhooks = Orb(api_key="none").webhooks

    def verify(body):
        return raises_none(lambda: webhooks.verify_signature(body, headers, secret=secret))

    yield accepted(verify, body, "orb", secret, headers)


@sdk("workos")
def workos():
    from workos.webhooks._verification import verify_header

    secret, body, stamp = "workos-webhook-secret", event(id=fresh("event_"), event="dsync.user.created"), milliseconds()
    header = f"t={stamp}, v1={hmac_hex(secret, f'{stamp}.{body}')}"

    def verify(body):
        return raises_none(lambda: verify_header(event_body=body.encode(), event_signature=header, secret=secret))

    yield accepted(verify, body, "workos", secret, {"WorkOS-Signature": header})


@sdk("razorpay")
def razorpay():
    from razorpay.utility import Utility

    secret, body = "razorpay-webhook-secret", event(entity="event", event="payment.captured")
    signature = hmac_hex(secret, body)

    def verify(body):
        return raises_none(lambda: Utility().verify_webhook_signature(body, signature, secret))

    headers = {"X-Razorpay-Signature": signature, "x-razorpay-event-id": fresh()}
    yield accepted(verify, body, "razorpay", secret, headers)


@sdk("gocardless_pro")
def gocardless():
    from gocardless_pro import webhooks

    secret = "gocardless-webhook-secret"
    body = event(events=[{"id": fresh("EV"), "resource_type": "payments"}], meta={"webhook_id": fresh("WB")})
    signature = hmac_hex(secret, body)

    def verify(body):
        return raises_none(lambda: webhooks.parse(body, secret, signature))

    yield accepted(verify, body, "gocardless", secret, {"Webhook-Signature": signature})


@sdk("coinbase-commerce")
def coinbase():
    from coinbase_commerce.webhook import WebhookSignature

    secret, body = "coinbase-shared-secret", event(id=1, event={"id": fresh(), "type": "charge:confirmed"})
    signature = hmac_hex(secret, body)

    def verify(body):
        return raises_none(lambda: WebhookSignature.verify_sig_header(body, signature, secret))

    yield accepted(verify, body, "coinbase-commerce", secret, {"X-CC-Webhook-Signature": signature})


@sdk("easypost")
def easypost():
    from easypost.util import validate_webhook

    # The key is the secret in Unicode's form NFKD, where é is two characters.
    secret, key, body = "sécret", "se\u0301cret", event(id=fresh("evt_"), description="tracker.updated")
    headers = {"X-Hmac-Signature": "hmac-sha256-hex=" + hmac_hex(key, body)}

    def verify(body):
        return raises_none(lambda: validate_webhook(body.encode(), headers, secret))

    yield accepted(verify, body, "easypost", secret, headers)


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
