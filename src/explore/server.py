"""The answers to the browser: the page, and JSON and pictures from an `Explorer`."""

import asyncio
import base64
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from src.errors import UserError
from src.explore.explorer import Explorer
from src.explore.guard import Guard
from src.explore.jobs import Jobs

ADDRESS = "127.0.0.1"
PAGE = Path(__file__).with_name("page")
MOST_BYTES = 64_000_000  # of a photo that is sent
GONE = 499  # status for a page that does not wait for its answer; nobody reads it


def build_app(explorer: Explorer, jobs: Jobs, token: str) -> Starlette:
    """The application; the explorer is called by the thread that runs ``jobs``."""
    answers: dict[str, Callable[[Query], Response]] = {
        "describe": lambda query: JSONResponse(explorer.describe()),
        "segment": lambda query: JSONResponse(explorer.segment(query.key)),
        "image": lambda query: _png(explorer.image(query.key)),
        "classes": lambda query: _png(explorer.classes(query.key)),
        "pixel": lambda query: JSONResponse(explorer.pixel(query.key, query.pixel)),
        "inside": lambda query: JSONResponse(explorer.inside(query.key)),
        "map": lambda query: _map(*explorer.map(query.key, query.text("map"), query.number("category"), query.pixel)),
    }

    async def answer(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in answers:
            raise UserError(f"{name}: no such question (there are {', '.join(answers)})")
        return await _compute(request, jobs, lambda: answers[name](Query(request.query_params)))

    async def upload(request: Request) -> Response:
        name = Query(request.query_params).text("name")
        data, size = bytearray(), 0
        async for chunk in request.stream():  # to its end: a browser that is still sending hears no answer
            size += len(chunk)
            if size <= MOST_BYTES:
                data += chunk
        if size > MOST_BYTES:
            raise UserError(f"{name}: has more than {MOST_BYTES // 1_000_000} MB; scale it down")
        return await _compute(request, jobs, lambda: JSONResponse({"key": explorer.folder.upload(bytes(data), name)}))

    routes = [
        Route("/api/{name}", answer),
        Route("/upload", upload, methods=["POST"]),
        Mount("/", StaticFiles(directory=PAGE, html=True)),
    ]
    return Starlette(
        routes=[Mount(f"/{token}", routes=routes)],
        middleware=[
            # A page of another site that has its name point here would send that name.
            Middleware(TrustedHostMiddleware, allowed_hosts=[ADDRESS, "localhost"]),
            Middleware(Guard, token=token),
        ],
        exception_handlers={
            UserError: lambda request, error: JSONResponse({"error": str(error)}, 400),
            ClientDisconnect: lambda request, error: Response(status_code=GONE),
        },
    )


class Query:
    """What a request asks about.

    Raises:
        UserError: from every property, if it is missing or not what it has to be.
    """

    def __init__(self, values: Mapping[str, str]):
        self._values = values

    def text(self, name: str) -> str:
        """The value of a parameter."""
        if name not in self._values:
            raise UserError(f"{name}: missing in the question")
        return self._values[name]

    def number(self, name: str) -> int:
        """The value of a parameter that is a whole number."""
        text = self.text(name)
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise UserError(f"{name}: {text[:20]!r} is not a whole number")
        return int(text)

    @property
    def key(self) -> str:
        """Of the image."""
        return self.text("image")

    @property
    def pixel(self) -> tuple[int, int]:
        """(row, column)."""
        return self.number("row"), self.number("column")


async def _compute(request: Request, jobs: Jobs, job: Callable[[], Response]) -> Response:
    """The result of a job when its turn has come, unless the page that asked has gone by then."""
    waiting = asyncio.wrap_future(jobs.submit(job))
    while not (await asyncio.wait([waiting], timeout=0.5))[0]:
        if await request.is_disconnected():
            waiting.cancel()  # and the job with it, if it is still waiting
            raise ClientDisconnect
    return waiting.result()


def _png(data: bytes) -> Response:
    return Response(data, media_type="image/png")


def _map(data: bytes, low: float, high: float) -> Response:
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return JSONResponse({"source": source, "low": low, "high": high})


class Server:
    """Serves an application at `ADDRESS`, in a thread of its own, while its ``with`` block runs.

    Args:
        port: 0 takes any free one.

    Raises:
        UserError: the port is taken.
    """

    def __init__(self, app: Starlette, port: int):
        try:
            self._socket = socket.create_server((ADDRESS, port))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise UserError(f"--port {port}: {reason}; choose another one, or 0 for any free one") from None
        self.port = self._socket.getsockname()[1]
        settings = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, server_header=False)
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()
