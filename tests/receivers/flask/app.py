"""A webhook receiver in Flask behind verigate: every request that arrives here is genuine and new."""

import hashlib
import json
import os
import sys

from flask import Flask, jsonify, request
from werkzeug.serving import make_server

SEEN = [
    "X-Verigate-Event-Id",
    "X-Verigate-Event-Type",
    "X-Verigate-Verdict",
    "X-Verigate-Secret",
    "X-Webhook-Signature-256",
    "X-Forwarded-For",
]

app = Flask(__name__)


@app.post("/<path:path>")
def receive(path):
    body = request.get_data()
    note(
        {
            "path": request.path,
            "sha256": hashlib.sha256(body).hexdigest(),
            "length": len(body),
            "headers": {name: request.headers.get(name) for name in SEEN},
        }
    )
    return jsonify(received=request.headers.get("X-Verigate-Event-Id"))


def note(entry):
    if received := os.environ.get("RECEIVED"):
        with open(received, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "3000"))
    server = make_server("127.0.0.1", port, app, threaded=True)
    print(f"ready {server.server_port}", flush=True)
    server.serve_forever()
