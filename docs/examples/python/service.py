#!/usr/bin/env python3
"""A complete status check service in Python's standard library.

A merge request passes if it has a description.

    LISTEN=127.0.0.1:8090 SHARED_SECRET=... MERGEGATE_URL=https://git.example.com \
        MERGEGATE_TOKEN=mgat-... python3 service.py
"""

import base64
import binascii
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request

SECRET = os.environ["SHARED_SECRET"]
MAX_BODY = 1 << 20

seen = set()  # Idempotency-Keys; a real service keeps them in a database
seen_lock = threading.Lock()


def mac(key, text):
    return hmac.new(key, text, hashlib.sha256)


def standard_key():
    """Returns the key of webhook-signature; whsec_ is the notation of Standard Webhooks."""
    key = SECRET.encode()
    if SECRET.startswith("whsec_"):
        encoded = SECRET.removeprefix("whsec_").rstrip("=")
        try:
            decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            return key
        return decoded or key
    return key


def signed(headers, body):
    """Reports whether Mergegate signed the body and sent it recently."""
    timestamp = headers.get("webhook-timestamp", "")
    text = f"{headers.get('webhook-id', '')}.{timestamp}.".encode("latin-1") + body
    standard = "v1," + base64.b64encode(mac(standard_key(), text).digest()).decode()
    gitlab = mac(SECRET.encode(), body).hexdigest()
    return (
        hmac.compare_digest(headers.get("x-gitlab-signature", "").encode(), gitlab.encode())
        and hmac.compare_digest(headers.get("webhook-signature", "").encode(), standard.encode())
        and timestamp.isdecimal()
        and abs(time.time() - int(timestamp)) < 5 * 60
    )


def is_repeat(key):
    """Reports whether a delivery was received before, and remembers it."""
    with seen_lock:
        repeat = key in seen
        seen.add(key)
        return repeat


def respond(payload):
    """Decides and sends the response through the API."""
    attributes = payload["object_attributes"]
    status, text = "passed", "The merge request has a description."
    if not attributes["description"]:
        status, text = "failed", "Please describe what changes and why."
    request = urllib.request.Request(
        f"{os.environ['MERGEGATE_URL']}/api/v4/projects/{payload['project']['id']}"
        f"/merge_requests/{attributes['iid']}/status_check_responses",
        data=json.dumps({
            "external_status_check_id": payload["external_approval_rule"]["id"],
            "sha": attributes["last_commit"]["id"],
            "status": status,
            "description": text,
        }).encode(),
        headers={"Content-Type": "application/json", "PRIVATE-TOKEN": os.environ["MERGEGATE_TOKEN"]},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            print("response sent:", answer.status, file=sys.stderr)
    except urllib.error.HTTPError as error:  # 409: HEAD has changed, another payload follows
        print("response refused:", error.code, file=sys.stderr)
    except OSError as error:
        print("response not sent:", error, file=sys.stderr)  # a real service tries again


class Receiver(http.server.BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self):
        try:
            length = int(self.headers.get("content-length", ""))
        except ValueError:
            return self.answer(411)
        if not 0 <= length <= MAX_BODY:
            return self.answer(413)
        body = self.rfile.read(length)
        if not signed(self.headers, body):
            return self.answer(401)
        try:
            payload = json.loads(body)
        except ValueError:
            return self.answer(400)
        if is_repeat(self.headers.get("idempotency-key")):
            return self.answer(200)
        self.answer(202)
        test = payload.get("mergegate", {}).get("test", False)
        if not test and payload["object_attributes"]["state"] == "opened":
            # Answer at once and do the work in the background.
            threading.Thread(target=respond, args=(payload,)).start()

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()

    def log_message(self, *_):
        pass


host, _, port = os.environ["LISTEN"].rpartition(":")
server = http.server.ThreadingHTTPServer((host, int(port)), Receiver)
print("{}:{}".format(*server.server_address), flush=True)
server.serve_forever()
