"""A webhook receiver in plain Python behind verigate: every request that arrives here is genuine and new."""

import hashlib
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SEEN = [
    "X-Verigate-Event-Id",
    "X-Verigate-Event-Type",
    "X-Verigate-Verdict",
    "X-Verigate-Secret",
    "X-Webhook-Signature-256",
    "X-Forwarded-For",
]


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        # The gateway always sends an exact Content-Length, so this needs no care for chunks.
        body = self.rfile.read(int(self.headers["Content-Length"]))
        note(
            {
                "path": self.path,
                "sha256": hashlib.sha256(body).hexdigest(),
                "length": len(body),
                "headers": {name: self.headers.get(name) for name in SEEN},
            }
        )
        answer = json.dumps({"received": self.headers.get("X-Verigate-Event-Id")}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


def note(entry):
    if received := os.environ.get("RECEIVED"):
        with open(received, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "3000"))
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    print(f"ready {server.server_port}", flush=True)
    server.serve_forever()
