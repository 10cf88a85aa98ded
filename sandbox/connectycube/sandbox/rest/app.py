"""The HTTP application, which takes a request through faults, session and checks to its handler."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..clock import iso
from ..core import Core
from ..domain.sessions import Session
from ..errors import NotPlayed, Refused, not_found, session_expired
from ..journal import HIDDEN, MOST_SHOWN
from ..storage import Unwritable
from .call import SENT_PATH, Answer, Call, Exchanged
from .checks import BrokenAnswer, Checks
from .document import Operation, load_document, starlette_path
from .examples import MARK, example_answer
from .guard import Guard
from .page import Page
from .reading import acceptable, body_of, fit_body, fit_query, query_of, read_bytes, require_groups
from .routes import all_routes
from .storage import Storage

__all__ = ["RestApp"]

log = logging.getLogger("connectycube.sandbox")

TOKEN, AUTH_KEY, ADMIN_KEY = "cb-token", "cb-authkey", "cb-administration-api-key"
LEFT_OUT = {"POST": "R-038", "DELETE": "R-039", "GET": "R-040"}
"""Facts about blocking users in a dialog, which the platform no longer documents (U-21)."""
STATUS_TEXTS = {
    400: "Bad request",
    401: "Required session does not exist",
    403: "Forbidden",
    404: "The resource wasn't found",
    422: "Unprocessable entity",
    429: "Rate limit exceeded",
    500: "Internal server error",
    503: "Service unavailable",
}


class RestApp:
    """The REST side of a sandbox, as an ASGI application.

    :param drop: breaks the connection of a client, given its address, without an answer.
    :param host: the address that it listens on.
    """

    def __init__(
        self,
        core: Core,
        drop: Callable[[tuple[str, int]], None],
        host: str,
    ) -> None:
        self.core = core
        self.document = load_document()
        self.checks = Checks(self.document)
        self.routes = all_routes()
        self.page = Page(core)
        self._drop = drop
        self._warm: asyncio.Task[None] | None = None
        self.starlette = Starlette(
            routes=[*self._api_routes(), *self._elsewhere(), *Storage(core, self.finish).routes(), *self.page.routes()],
            exception_handlers={HTTPException: self._http_error},
        )
        # Unknown paths get an answer in the platform's form, not a redirect.
        self.starlette.router.redirect_slashes = False
        self.app: ASGIApp = Guard(_Normalised(self.starlette), host, core.settings.origins)

    def _api_routes(self) -> list[Route]:
        """Return one route per path. Those with fewer parameters come first, so that fixed words take precedence."""
        paths: dict[str, dict[str, Operation]] = {}
        operations = self.document.operations
        for operation in operations.values():
            paths.setdefault(operation.path, {})[operation.method] = operation
        for method, path, operation_id in self.routes.aliases:
            paths.setdefault(path, {})[method] = operations[operation_id]
        ordered = sorted(paths.items(), key=lambda entry: entry[0].count("{"))
        return [
            Route(starlette_path(path, found.values()), self._endpoint(found), methods=[*found])
            for path, found in ordered
        ]

    def _elsewhere(self) -> list[Route]:
        """Return routes for what is not simulated: other hosts of the platform, and calls that the spec leaves out."""
        return [
            Route(operation.path, self._endpoint({operation.method: operation}), methods=[operation.method])
            for operation in self.document.elsewhere.values()
            if "{" not in operation.path
        ] + [Route("/chat/Dialog/{dialog_id}/block", self._left_out, methods=[*LEFT_OUT])]

    def _endpoint(self, operations: Mapping[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            return await self._serve(request, operations[method])

        return endpoint

    async def warm(self) -> None:
        """Import what the checks need, on a thread."""
        if self._warm is None:
            self._warm = asyncio.create_task(self._load())
        await asyncio.shield(self._warm)

    async def _load(self) -> None:
        await asyncio.to_thread(self.checks.warm)
        self.core.loaded()

    # -- one call

    async def _serve(self, request: Request, operation: Operation) -> Response:
        seen = Exchanged(request)
        seen.operation = operation
        try:
            response = await self._faulty(seen) or await self._answer(seen, operation)
        except Refused as refused:
            response = seen.refused(refused)
        except Unwritable as error:
            response = seen.refused(Refused(507, {"base": [str(error)]}))
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            log.exception("%s %s failed", request.method, seen.path)
            seen.answer = {"errors": {"base": [STATUS_TEXTS[500]]}}
            response = JSONResponse(seen.answer, 500)
        return self.finish(seen, response)

    async def _faulty(self, seen: Exchanged) -> Response | None:
        """Apply the fault that a test injected, if any."""
        fault = seen.fault = self.core.faults.take(seen.request.method, seen.route)
        if fault is None:
            return None
        session = self.core.sessions.find_token(seen.request.headers.get(TOKEN, ""))
        seen.owner = None if session is None else session.user_id
        if fault.action == "delay":
            await asyncio.sleep(fault.seconds)
            return None
        if fault.action == "drop":
            client = seen.request.client
            if client is not None:
                self._drop((client.host, client.port))
            return Response(status_code=503)
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        seen.answer = {"errors": {"base": [STATUS_TEXTS.get(fault.status, "Failure")]}}
        return JSONResponse(seen.answer, fault.status, headers)

    async def _answer(self, seen: Exchanged, operation: Operation) -> Response:
        request = seen.request
        seen.query = query_of(request.scope["query_string"].decode("ascii", "replace"))
        self.core.accounts.end_guests()
        seen.session = self._authorized(request, operation)
        if not all(map(acceptable, request.path_params.values())):
            raise not_found()
        data = await read_bytes(request, self.core.settings.limits.body_bytes)
        given = body_of(data, request.headers.get("content-type", ""))
        seen.body = given if len(data) <= MOST_SHOWN else f"{len(data)} bytes"
        if self.core.settings.identity_provider is not None:
            seen.body = _without_login(operation, seen.body)
        handler = self.routes.handlers.get(operation.id, example_answer)
        query = fit_query(operation, seen.query, given)
        body = fit_body(operation, given)
        await self.warm()
        self.checks.request(operation, _canonical(operation, request), query, body)
        fields = (body.get(operation.envelope) if operation.envelope else body) if isinstance(body, dict) else {}
        require_groups(operation, query, fields or {})
        call = Call(
            core=self.core,
            operation=operation,
            path=request.path_params,
            query=query,
            body=fields or {},
            session=seen.session,
            base_url=str(request.base_url).rstrip("/"),
        )
        preparation = self.routes.preparations.get(operation.id)
        if preparation is not None:
            await preparation(call)
        answer = None
        try:
            with self.core.db.transaction():
                result = handler(call)
                answer = result if isinstance(result, Answer) else Answer(status=operation.success, body=result)
                self._check(operation, _canonical(operation, request), answer)
        except Unwritable:
            # What a reading call notes on the side is lost if the disk is full, but not its answer.
            if answer is None or operation.method != "GET":
                raise
        seen.answer = answer.body
        if answer.body is None:
            return Response(status_code=answer.status, headers=dict(answer.headers))
        return JSONResponse(answer.body, answer.status, dict(answer.headers))

    def _check(self, operation: Operation, path: str, answer: Answer) -> None:
        """Check an answer against the spec.

        :raises Refused: 500 if it doesn't conform, so that the call has no effect.
        """
        if self.core.settings.check_answers and answer.status < 300:
            try:
                self.checks.answer(operation, path, answer.status, answer.body)
            except BrokenAnswer as error:
                log.error("the answer does not conform to the spec: %s", error)
                raise Refused(500, {"base": ["The sandbox was about to break the spec, see its log"]}) from error

    def _authorized(self, request: Request, operation: Operation) -> Session | None:
        """Return the session of a call, if it has one.

        :raises Refused: 401 if the call has no valid key or token.
        """
        headers = request.headers
        schemes = operation.schemes
        if "adminKey" in schemes:
            if headers.get(ADMIN_KEY) != self.core.settings.admin_key:
                raise Refused(401, {"base": ["The administration key is missing or wrong"]})
            return None
        token = headers.get(TOKEN)
        if token is not None and schemes != [None]:
            return self.core.sessions.use(token)
        if "authKey" in schemes:
            # A sign-up may also come with a session (CR-04), which is handled above.
            if headers.get(AUTH_KEY) != self.core.settings.auth_key:
                raise Refused(401, {"base": ["The authorization key is missing or wrong"]})
            return None
        if None not in schemes:
            raise session_expired()
        return None

    async def _left_out(self, request: Request) -> Response:
        seen = Exchanged(request)
        row = LEFT_OUT["GET" if request.method == "HEAD" else request.method]
        return self.finish(seen, seen.refused(NotPlayed(row, "the platform does not document it")))

    # -- finishing

    def finish(self, seen: Exchanged, response: Response) -> Response:
        """Add the session's expiry, and record the call in the journal."""
        session = seen.session
        if session is not None and response.status_code < 400:
            expiry = iso(self.core.sessions.expiry(session)) or ""
            response.headers["CB-Token-ExpirationDate"] = f"{expiry[:10]} {expiry[11:19]} UTC"
        user_id = seen.owner if session is None else session.user_id
        if user_id is None and isinstance(seen.answer, Mapping):
            user_id = _user_of(seen.answer)
        log.debug("%s %s: status %d", seen.request.method, seen.path, response.status_code)
        self.core.journal.exchange(
            user_id=user_id,
            method=seen.request.method,
            path=seen.path,
            operation=None if seen.operation is None else seen.operation.id,
            query=seen.query,
            request_headers=list(seen.request.headers.items()),
            request_body=seen.body,
            status=response.status_code,
            response_headers=list(response.headers.items()),
            response_body=_shown(seen.answer, response),
            milliseconds=round((time.perf_counter() - seen.started) * 1000, 2),
            fault=None if seen.fault is None else str(seen.fault),
            example=MARK in response.headers,
        )
        return response

    async def _http_error(self, request: Request, error: Exception) -> Response:
        """Answer a call to an unknown path, or with an unknown method."""
        seen = Exchanged(request)
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = dict(getattr(error, "headers", None) or {})
        if request.method == "OPTIONS":
            return Response(status_code=204)
        text = "No such route" if status == 404 else str(getattr(error, "detail", "Failure"))
        seen.answer = {"errors": {"base": [text]}}
        return self.finish(seen, JSONResponse(seen.answer, status, headers))


def _without_login(operation: Operation, body: Any) -> Any:
    """Return a body for the journal without the login, which is the identity provider's token."""
    user = body.get("user") if isinstance(body, dict) and operation.id == "sessions_create" else None
    if isinstance(user, dict) and "login" in user:
        return {**body, "user": {**user, "login": HIDDEN}}
    if operation.id == "sessions_login" and isinstance(body, dict) and "login" in body:
        return {**body, "login": HIDDEN}
    return body


def _shown(answer: Any, response: Response) -> Any:
    """Return what the journal records of an answer."""
    size = len(getattr(response, "body", b""))
    return answer if size <= MOST_SHOWN else f"{size} bytes"


def _canonical(operation: Operation, request: Request) -> str:
    """Return the path in the spec's form, without suffix and whatever alias was used."""
    path = operation.path
    for name, value in request.path_params.items():
        path = path.replace(f"{{{name}}}", str(value))
    return path


def _user_of(answer: Mapping[str, Any]) -> int | None:
    """Return the user that an answer names, for calls without a session."""
    session, user = answer.get("session"), answer.get("user")
    found = session.get("user_id") if isinstance(session, Mapping) else None
    if found is None and isinstance(user, Mapping):
        found = user.get("id")
    return found if isinstance(found, int) else None


class _Normalised:
    """Middleware that removes a path's suffix (CR-01) and capitalizes `chat/dialog` (CR-37)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            sent = scope.get("raw_path") or str(scope["path"]).encode()
            path = str(scope["path"]).removesuffix(".json")
            if path.startswith("/chat/dialog"):
                path = f"/chat/Dialog{path.removeprefix('/chat/dialog')}"
            scope = {**scope, "path": path, "raw_path": None, SENT_PATH: sent.decode("latin-1")}
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # The sandbox is stopping and the client is gone, so nothing has failed.
            await Response(status_code=503)(scope, receive, send)
