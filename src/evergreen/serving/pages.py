"""What does not predict: health, version, metrics, the document of the API and the pages for people; a FastAPI application."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from evergreen.serving import replies
from evergreen.serving.document import document
from evergreen.serving.front import no_key
from evergreen.serving.reference import page
from evergreen.serving.site import answer, locked, with_password

if TYPE_CHECKING:
    from evergreen.serving.service import Service


def make_pages(service: Service, *, has_docs: bool, has_metrics: bool) -> FastAPI:
    """The application below the routes that predict."""
    problem = service.problem
    pages = FastAPI(
        title=problem.name,
        description=f"{problem.business.question}\n\n{problem.business.decision}",
        docs_url=None,  # FastAPI's own page loads its program from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json" if has_docs else None,
        exception_handlers={404: _nothing_there},
    )
    pages.openapi = lambda: document(pages, service)  # type: ignore[method-assign]  # FastAPI's own way to extend it
    if has_docs:

        @pages.get("/docs", include_in_schema=False)
        async def docs() -> Response:
            return HTMLResponse(page(pages.openapi(), service.example()))

    _add_health(pages, service)
    _add_version(pages, service)
    if has_metrics:

        @pages.get("/metrics", tags=["health"], summary="Counters for Prometheus", response_class=Response)
        def metrics(request: Request) -> Response:  # in a thread: what is registered beside the counters may wait for a journal
            is_whole = service.front.is_allowed(request.scope["headers"])  # the rest tells of money
            return Response(service.metrics.exposition(is_whole=is_whole), media_type="text/plain; version=0.0.4; charset=utf-8")

    if service.settings.serve_site:
        _add_site(pages, service)
    return pages


def _add_health(pages: FastAPI, service: Service) -> None:
    @pages.get("/health/live", tags=["health"], summary="Whether the server runs")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @pages.get("/health/ready", tags=["health"], summary="Whether requests are answered", responses={503: {"description": "They are not."}})
    async def ready(request: Request) -> Response:
        told = service.health()
        if not service.front.is_allowed(request.scope["headers"]):  # why something fails names hosts and folders
            del told["troubles"]
        return JSONResponse(told, status_code=200 if told["status"] != "unavailable" else 503)


def _add_version(pages: FastAPI, service: Service) -> None:
    def with_key(request: Request, told: Callable[[], Any], status: int = 200) -> Response:
        if not service.front.is_allowed(request.scope["headers"]):
            return _sent(no_key())
        return JSONResponse(told(), status_code=status)

    @pages.get("/version", tags=["health"], summary="Which version of the model serves, and since when")
    async def version(request: Request) -> Response:
        return with_key(request, service.version)

    @pages.post("/follow", tags=["health"], summary="Look for a new champion now, not only at the next look", status_code=202)
    async def follow(request: Request) -> Response:
        return with_key(request, service.look, status=202)


def _add_site(pages: FastAPI, service: Service) -> None:
    folder = service.settings.site

    @pages.api_route("/site/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    def page_of_site(path: str, request: Request) -> Response:  # in a thread: it reads a file
        headers = request.scope["headers"]
        if not service.front.is_allowed(with_password(headers)):
            return locked()
        return answer(folder, path, known=request.headers.get("if-none-match", ""))

    @pages.api_route("/site", methods=["GET", "HEAD"], include_in_schema=False)
    @pages.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def to_site() -> Response:
        return RedirectResponse("/site/")


async def _nothing_there(request: Request, _: Exception) -> Response:
    return _sent(replies.refused(404, f"There is nothing at {request.url.path[:200]}."))


def _sent(reply: replies.Reply) -> Response:
    headers: dict[str, Any] = {name.decode(): value.decode() for name, value in reply.headers if name != b"content-length"}
    return Response(reply.body, status_code=reply.status, headers=headers)
