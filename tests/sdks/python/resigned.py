"""Asks the libraries of Standard Webhooks about requests as an app behind the gateway gets them.

Each line of standard input is one request: `secret`, `headers` and `body_b64`. A library must accept it as it is, and
refuse it with another body, another id, another time or another secret. One line is printed for each library.
"""

import base64
import json
import sys

OTHER = "whsec_" + base64.b64encode(bytes(32 * [1])).decode()


def verdict(webhook, secret, body, headers):
    try:
        webhook(secret).verify(body, headers)
    except Exception as why:
        # The body need not be JSON: it is parsed once the signature holds.
        return "accepted" if isinstance(why, json.JSONDecodeError) else f"refused: {why}"
    return "accepted"


def asked(library, webhook, lines):
    wrong = []
    for line in lines:
        secret, headers = line["secret"], line["headers"]
        body = base64.b64decode(line["body_b64"]).decode()
        later = str(int(headers["webhook-timestamp"]) + 1)
        cases = {
            "as it is": (secret, body, headers, True),
            "another body": (secret, body + " ", headers, False),
            "another id": (secret, body, {**headers, "webhook-id": "0" * 32}, False),
            "another time": (secret, body, {**headers, "webhook-timestamp": later}, False),
            "another secret": (OTHER, body, headers, False),
        }
        for name, (secret, body, headers, is_good) in cases.items():
            found = verdict(webhook, secret, body, headers)
            if (found == "accepted") != is_good:
                wrong.append(f"{line['name']}, {name}: {found}")
    print(json.dumps({"library": library, "asked": len(lines), "wrong": wrong}))


def main():
    lines = [json.loads(line) for line in sys.stdin]
    for library in ("standardwebhooks", "svix"):
        try:
            module = __import__(library + ".webhooks", fromlist=["Webhook"])
        except ImportError as why:
            print(json.dumps({"missing": library, "why": str(why)}))
            continue
        asked(library, module.Webhook, lines)


main()
