"""Receives webhooks and verifies their signatures: `.venv/bin/python -m api.examples.webhook_receiver SECRET [PORT]`.

`POST /v1/webhooks` returns the secret. Respond fast and do the work later: a delivery without a 2xx response is retried
with the same `webhook-id`.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError


class Receiver(BaseHTTPRequestHandler):
    """Prints each verified message; rejects the others."""

    webhook: Webhook

    def do_POST(self) -> None:
        """Receives one delivery."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            message = self.webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_response(401)
        else:
            print(message["type"], message["data"]["id"], flush=True)
            self.send_response(204)
        self.end_headers()


def main() -> None:
    """Serves until Ctrl-C."""
    Receiver.webhook = Webhook(sys.argv[1])
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 9999
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()


if __name__ == "__main__":
    main()
