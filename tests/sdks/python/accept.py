"""SDKs that can only verify, and accept what is signed here by their provider's published rule."""

import base64
import hashlib
import json
from datetime import datetime, timezone
from urllib.parse import urlencode

from deliveries import (
    FORM_TYPE,
    ORIGIN,
    accepted,
    delivery,
    event,
    fresh,
    hmac_hex,
    milliseconds,
    raises_none,
    sdk,
    seconds,
)


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


@sdk("dropbox-sign")
def dropbox_sign():
    from dropbox_sign import EventCallbackHelper, EventCallbackRequest

    secret, stamp, kind = "dropbox-sign-api-key", str(seconds()), "signature_request_signed"

    def sent(stamp):
        places = {"event_time": stamp, "event_type": kind, "event_hash": digest}
        return {"event": places, "account_guid": account}

    def verify(stamp):
        return EventCallbackHelper.is_valid(secret, EventCallbackRequest.init(sent(stamp)))

    digest, account = hmac_hex(secret, stamp + kind), fresh()
    if not verify(stamp) or verify(stamp + "0"):
        raise AssertionError("the SDK of dropbox-sign does not look at the time")
    body = urlencode({"json": json.dumps(sent(stamp))})
    yield delivery("dropbox-sign", secret, {}, body, proof="accepted", kind=FORM_TYPE, flip=kind)
