"""Who may ask, and what the browser may do with the answers."""

import secrets

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",  # the token stays out of the logs of others
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses requests whose path does not begin with the token, and adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp, token: str):
        self.app = app
        self.token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            await send(message)

        app = self.app
        if scope["type"] == "http":
            given = scope["path"].removeprefix("/").partition("/")[0]
            if not secrets.compare_digest(given.encode(), self.token):
                app = PlainTextResponse("Open the address that the command printed: it ends with the token.\n", 403)
        await app(scope, receive, send_with_headers)
