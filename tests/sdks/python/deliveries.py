"""What the signers share: how a delivery is written, and how an SDK is asked about one that verigate signed."""

import base64
import contextlib
import hashlib
import hmac
import io
import json
import os
import subprocess
import time
import uuid

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


def confirmed(verify, body, provider, secret, *, path=None, more=None, covers_body=True):
    """The delivery that `verigate sign` makes; `verify(headers, body)` must hold for it, and for no changed one.

    The names of the headers are in lower case there. `more` are headers that the scheme signs or that the gateway asks
    for.
    """
    more, path = more or {}, path or f"/in/{provider}/confirmed"
    signed = verigate_signs(provider, secret, body, ORIGIN + path, more)
    headers = {name.lower(): value for name, value in {**more, **signed}.items()}
    if not verify(headers, body):
        raise AssertionError(f"the SDK of {provider} refuses what verigate signed: {headers}")
    if covers_body and verify(headers, body + " "):
        raise AssertionError(f"the SDK of {provider} accepts a changed body")
    for name in headers.keys() - {name.lower() for name in more}:
        changed = {**headers, name: flipped(headers[name])}
        if is_signature(name) and verify(changed, body):
            raise AssertionError(f"the SDK of {provider} accepts a changed {name}")
    return delivery(provider, secret, {**more, **signed}, body, proof="confirmed", path=path)


def verigate_signs(provider, secret, body, url, more):
    command = [os.environ.get("VERIGATE", "verigate"), "sign", "--provider", provider]
    command += ["--secret", "env:SDK_SECRET", "--url", url]
    for name, value in more.items():
        command += ["--header", f"{name}: {value}"]
    own = {**os.environ, "SDK_SECRET": secret}
    made = subprocess.run(command, input=body.encode(), env=own, capture_output=True)
    if made.returncode:
        raise AssertionError(f"{' '.join(command)}: {made.stderr.decode()}")
    return dict(line.split(": ", 1) for line in made.stdout.decode().splitlines())


def is_signature(name):
    return any(part in name for part in ("signature", "hmac", "-mac", "sig", "authorization"))


def flipped(text):
    """The text with a character changed that a signature needs: the last ones may be padding."""
    at = len(text) - 5
    return text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :]


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
