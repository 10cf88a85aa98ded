"""A custom identity provider: a server of yours that tells the platform who a user is.

python examples/identity_provider.py [PORT]     needs Starlette and uvicorn, which the extra `sandbox` brings

Your app gives users a token when they log in to your own service. They log in to the platform with that token as the
login and any password; the platform asks `/verify`, and knows the user by the id in the answer from then on. Set it up
in the dashboard, or for the sandbox as `Settings(identity_provider=IdentityProvider(url=".../verify"))`:

    API URL           https://your.server/verify
    request params    {"token": "#{login}"}
    response params   {"uid": "#{user.id}"}
"""

from __future__ import annotations

import secrets
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

USERS = {"mary": ("correct-horse-9", 2345), "ada": ("battery-staple-4", 2346)}
"""Passwords and ids by login. Yours come from a database, with passwords hashed."""

tokens: dict[str, str] = {}
"""Logins by token."""


async def log_in(request: Request) -> JSONResponse:
    """Give a user of your service a token: POST /login with `login` and `password` as JSON."""
    given = await request.json()
    login = str(given.get("login"))
    password, _ = USERS.get(login, ("", 0))
    if not password or not secrets.compare_digest(password.encode(), str(given.get("password")).encode()):
        return JSONResponse({"error": "wrong login or password"}, 401)
    token = secrets.token_urlsafe(32)
    tokens[token] = login
    return JSONResponse({"token": token})


async def verify(request: Request) -> JSONResponse:
    """Tell the platform whose token this is: GET /verify?token=... answers with 200, or 422 and an error."""
    login = tokens.get(request.query_params.get("token", ""))
    if login is None:
        return JSONResponse({"error": "unknown token"}, 422)
    return JSONResponse({"user": {"id": USERS[login][1], "login": login}})


app = Starlette(routes=[Route("/login", log_in, methods=["POST"]), Route("/verify", verify)])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]) if len(sys.argv) > 1 else 9000)
