"""SDKs that can only verify, and confirm what `verigate sign` makes for the preset of their provider."""

import base64
import json

from deliveries import (
    ORIGIN,
    confirmed,
    event,
    fresh,
    raises_none,
    sdk,
    seconds,
)

WHSEC = "whsec_" + base64.b64encode(b"a secret of 24 bytes, ok").decode()


@sdk("openai")
def openai():
    from openai import OpenAI

    webhooks = OpenAI(api_key="none").webhooks

    def verify(headers, body):
        return raises_none(lambda: webhooks.verify_signature(body, headers, secret=WHSEC))

    yield confirmed(verify, event(object="event", id=fresh("evt_"), type="batch.completed"), "openai", WHSEC)


@sdk("squareup")
def square():
    from square.utils.webhooks_helper import verify_signature

    secret, path = "square-signature-key_+/=", "/in/square?shop=1&b=%20"

    def verify(headers, body):
        return verify_signature(
            request_body=body,
            signature_header=headers["x-square-hmacsha256-signature"],
            signature_key=secret,
            notification_url=ORIGIN + path,
        )

    body = event(merchant_id=fresh(), event_id=fresh(), type="payment.updated")
    yield confirmed(verify, body, "square", secret, path=path)


@sdk("line-bot-sdk")
def line():
    from linebot.v3.webhook import SignatureValidator

    secret = "line-channel-secret"
    validator = SignatureValidator(secret)

    def verify(headers, body):
        return validator.validate(body, headers["x-line-signature"])

    body = event(destination=fresh("U"), events=[{"type": "message", "webhookEventId": fresh()}])
    yield confirmed(verify, body, "line", secret)


@sdk("resend")
def resend():
    from resend import Webhooks

    def verify(headers, body):
        parts = {part: headers["svix-" + part] for part in ("id", "timestamp", "signature")}
        options = {"payload": body, "headers": parts, "webhook_secret": WHSEC}
        return raises_none(lambda: Webhooks.verify(options))

    yield confirmed(verify, event(type="email.sent", data={"email_id": fresh()}), "resend", WHSEC)


@sdk("replicate")
def replicate():
    from replicate.webhook import Webhooks, WebhookSigningSecret

    key = WebhookSigningSecret(key=WHSEC)

    def verify(headers, body):
        return raises_none(lambda: Webhooks.validate(headers=headers, body=body, secret=key))

    body = event(id=fresh(), status="succeeded", type="prediction")
    yield confirmed(verify, body, "replicate", WHSEC)


@sdk("polar-sdk")
def polar():
    from polar.webhooks import validate_event

    secret = "polar-webhook-secret, as text"
    types = frozenset({"order.created"})

    def verify(headers, body):
        return raises_none(lambda: validate_event(body, headers, secret, types, dict))

    yield confirmed(verify, event(type="order.created", data={"id": fresh()}), "polar", secret)


@sdk("lithic")
def lithic():
    from lithic import Lithic

    webhooks = Lithic(api_key="none").webhooks

    def verify(headers, body):
        return raises_none(lambda: webhooks.verify_signature(body, headers, secret=WHSEC))

    yield confirmed(verify, event(event_type="card.created", type="card.created"), "lithic", WHSEC)


@sdk("finch-api")
def finch():
    from finch import Finch

    secret = WHSEC.removeprefix("whsec_")
    webhooks = Finch().webhooks

    def verify(headers, body):
        return raises_none(lambda: webhooks.verify_signature(body, headers, secret=secret))

    yield confirmed(verify, event(company_id=fresh(), event_type="company.updated"), "finch", secret)


@sdk("imagekitio")
def imagekit():
    from imagekitio import ImageKit

    webhooks = ImageKit(private_key="none").webhooks

    def verify(headers, body):
        return raises_none(lambda: webhooks.unwrap(body, headers=headers, key=WHSEC))

    body = event(type="video.transformation.ready", id=fresh(), created_at="2026-01-01T00:00:00Z")
    yield confirmed(verify, body, "imagekit", WHSEC)


@sdk("cloudinary")
def cloudinary():
    import cloudinary.utils

    secret = "cloudinary-api-secret"
    cloudinary.config(api_secret=secret)

    def verify(headers, body):
        stamp, signature = headers["x-cld-timestamp"], headers["x-cld-signature"]
        return cloudinary.utils.verify_notification_signature(body, stamp, signature)

    yield confirmed(verify, event(notification_type="upload", public_id=fresh()), "cloudinary", secret)


@sdk("stream-chat")
def stream():
    from stream_chat.webhook import verify_signature

    secret = "stream-api-secret"

    def verify(headers, body):
        return verify_signature(body, headers["x-signature"], secret)

    yield confirmed(verify, event(type="message.new", cid=fresh("messaging:")), "stream", secret)


@sdk("onfido-python")
def onfido():
    from onfido import WebhookEventVerifier

    secret = "onfido-webhook-token"
    verifier = WebhookEventVerifier(secret)

    def verify(headers, body):
        return raises_none(lambda: verifier.read_payload(body, headers["x-sha2-signature"]))

    payload = {"resource_type": "check", "action": "check.completed", "object": {"id": fresh()}}
    yield confirmed(verify, json.dumps({"payload": payload}), "onfido", secret)


@sdk("pyairtable")
def airtable():
    from pyairtable.models.webhook import WebhookNotification

    secret = base64.b64encode(b"\x00\xfb\xff airtable MAC secret").decode()

    def verify(headers, body):
        mac = headers["x-airtable-content-mac"]
        return raises_none(lambda: WebhookNotification.from_request(body, mac, secret))

    places = {"base": {"id": fresh("app")}, "webhook": {"id": fresh("ach")}}
    yield confirmed(verify, json.dumps({**places, "timestamp": "2026-01-01T00:00:00.000Z"}), "airtable", secret)


@sdk("mailtrap")
def mailtrap():
    from mailtrap.webhooks import verify_signature

    secret = "mailtrap-signing-secret"

    def verify(headers, body):
        return verify_signature(body, headers["mailtrap-signature"], secret)

    yield confirmed(verify, event(events=[{"event": "delivery", "event_id": fresh()}]), "mailtrap", secret)


@sdk("boldsign")
def boldsign():
    from boldsign.webhook_utility import WebhookUtility

    secret = "boldsign-webhook-secret"

    def verify(headers, body):
        header = headers["x-boldsign-signature"]
        return raises_none(lambda: WebhookUtility.validate_signature(body, header, secret))

    body = event(event={"id": fresh(), "eventType": "Completed"})
    yield confirmed(verify, body, "boldsign", secret, more={"X-BoldSign-Event": "Completed"})


@sdk("pycronofy")
def cronofy():
    from pycronofy import Client

    secret = "CRN_client-secret"
    client = Client(client_id="none", client_secret=secret)

    def verify(headers, body):
        return client.hmac_valid(headers["cronofy-hmac-sha256"], body)

    body = event(notification={"type": "change"}, channel={"channel_id": fresh("chn_")})
    yield confirmed(verify, body, "cronofy", secret)


@sdk("viberbot")
def viber():
    from viberbot import Api
    from viberbot.api.bot_configuration import BotConfiguration

    secret = "4453b6ac12345678-e02c5f12174805f9-daf9cbb5448c51f9"
    api = Api(BotConfiguration(auth_token=secret, name="bot", avatar=""))

    def verify(headers, body):
        return api.verify_signature(body.encode(), headers["x-viber-content-signature"])

    body = event(event="message", timestamp=seconds(), message_token=fresh())
    yield confirmed(verify, body, "viber", secret)


@sdk("mercadopago")
def mercadopago():
    from mercadopago.webhook import WebhookSignatureValidator

    secret, name = "mercadopago-secret", "123456789"

    def verify(headers, body):
        signature, request = headers["x-signature"], headers["x-request-id"]
        return raises_none(lambda: WebhookSignatureValidator.validate(signature, request, name, secret))

    body, path = event(user_id=fresh(), type="order", data={"id": name}), f"/in/mercadopago?data.id={name}&type=order"
    yield confirmed(verify, body, "mercadopago", secret, path=path, covers_body=False)


@sdk("smartcar")
def smartcar():
    import smartcar

    secret = "smartcar-application-management-token"

    def verify(headers, body):
        return smartcar.verify_payload(secret, headers["sc-signature"], body)

    yield confirmed(verify, event(eventId=fresh(), eventType="VEHICLE_STATE"), "smartcar", secret)


@sdk("qstash")
def qstash():
    from qstash import Receiver

    secret, path = "sig_qstash_current_key_of_32_byte", "/in/qstash/confirmed"
    receiver = Receiver(current_signing_key=secret, next_signing_key="sig_qstash_next_key_of_32_bytes__")

    def verify(headers, body):
        token = headers["upstash-signature"]
        return raises_none(lambda: receiver.verify(signature=token, body=body, url=ORIGIN + path, clock_tolerance=5))

    yield confirmed(verify, event(job=fresh()), "qstash", secret, path=path)


@sdk("vonage-jwt")
def vonage():
    from vonage_jwt import verify_signature

    secret = "vonage-signature-secret-32-bytes"

    def verify(headers, body):
        return verify_signature(headers["authorization"].removeprefix("Bearer "), secret)

    # The library looks at the token alone, and leaves its digest of the body to the app.
    yield confirmed(verify, event(message_uuid=fresh()), "vonage", secret, covers_body=False)
