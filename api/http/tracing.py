"""A span for each request, when traces are on."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.telemetry.spans import Spans


class TracingMiddleware:
    """The app, each request a span: a part of the trace that its `traceparent` names, or the first of a new one."""

    def __init__(self, app: ASGIApp, spans: Spans) -> None:
        self._app = app
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request. What only asks how the service is belongs to no trace."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        parent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)
        with self._spans.span(scope["method"], parent=parent, serves=True) as span:
            status = 500

            async def told(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await self._app(scope, receive, told)
            finally:
                route = scope.get("route")
                template = "" if route is None else route.path
                span.name(f"{scope['method']} {template}".rstrip())
                span.note(
                    {
                        "http.request.method": scope["method"],
                        "http.route": template,
                        "http.response.status_code": status,
                    }
                )
                if status >= 500:
                    span.failed(str(status))
