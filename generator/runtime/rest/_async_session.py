"""Login, logout and renewal of the async client."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import _deadline, _wire, errors
from ._async import AsyncApiClient
from ._base import Owner
from ._call import Call, RawResponse
from ._masking import hide
from ._request import request_call
from ._session import (
    BaseSessionClient,
    Mark,
    Provider,
    Renewal,
    SessionState,
    arenew_once,
    password_user,
    provider_arguments,
    renewing,
    token_of,
    unknown_login,
)

if TYPE_CHECKING:
    from typing import Self

    from .models import Session, User


class AsyncRawRequests:
    """The calls of a client with responses as they came."""

    def __init__(self, client: AsyncSessionClient) -> None:
        self._client = client

    async def request(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, json: Any = None
    ) -> RawResponse[Any]:
        """Make a call that has no method of its own, and return the response as it came."""
        call = request_call(self._client.base_url, method, path, query, json)
        return RawResponse(call.operation, await self._client._send(call))


class AsyncSessionClient(BaseSessionClient, AsyncApiClient):
    """Opens, renews and closes the session; the generated client adds the resources."""

    _on_session_expired: Callable[[Any], Any] | None
    sessions: Any
    """The generated resource."""

    async def request(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, json: Any = None) -> Any:
        """Make a call that has no method of its own, and return the response's JSON, or `None` if it is empty.

        It has the session, retries, renewal, deadline and errors of every other call. Without a session it is sent with
        the administration key or the authorization key. POST and PATCH are repeated only if that is safe.

        :param method: the HTTP method.
        :param path: the path below `base_url`, such as `/users/online`; the address of another host is refused.
        :param query: parameters of the query. A list repeats its key, and a mapping is written as `key[inner]`.
        :param json: the body, which may hold models and times.
        :raises InvalidArgument: if an argument is invalid; nothing is sent then.
        :raises ApiError: if the server refuses.
        """
        return await self._call(request_call(self.base_url, method, path, query, json))

    @property
    def with_raw_response(self) -> AsyncRawRequests:
        """The method `request`, returning the response as it came: status, headers, body, and `parse()`."""
        return AsyncRawRequests(self)

    def with_session(self, token: str | None = None, user_id: int | User | None = None) -> Self:
        """Return a client with a session of its own, for another user.

        It shares connections, settings and keys with this one and costs little, so each user of a server can have one.
        Closing one of them does not close the others, and it need not be closed before this one is.

        :param token: the token of a session from elsewhere; without it, call a `login` method of the new client.
        :param user_id: the id of the session's user, if it has one.
        :raises InvalidArgument: if the token is empty.
        """
        token = hide(token)
        copy = self._copy()
        copy._session = SessionState(None)
        copy._owner, copy._owns_http = Owner(first=False), True
        if token is not None:
            copy.use_session(token, user_id)
        self._http.share(copy._owner)
        return copy

    async def _renewed(self, call: Call[Any], mark: Mark) -> Mark | None:
        state = self._session
        by_hook = state.credentials is None and self._on_session_expired is not None
        cause = f"{call.operation.name} ({urlsplit(self.base_url).netloc})"
        return await arenew_once(state, mark, cause, by_hook, self._patience(), self._renew)

    async def _fill_user(self, call: Call[Any]) -> None:
        state = self._session
        token, user_id = state.token, state.user_id
        if token is not None and user_id is None:
            user_id = (await self.sessions.get()).user_id
            state.learn(token, user_id)
        text = self._user_text(call, user_id)
        call.path = call.path.replace("{user_id}", text)
        call.query = [(name, text if value == "{user_id}" else value) for name, value in call.query]

    async def _renew(self, renewal: Renewal) -> None:
        """Open a new session with the stored password, or else ask the hook."""
        credentials = self._session.credentials
        flag = renewing.set((*renewing.get(), renewal))
        try:
            if credentials is not None:
                await self._open(credentials)
            elif self._on_session_expired is not None:
                given: Any = self._on_session_expired(self)
                if inspect.isawaitable(given):  # async only
                    given = await given
                self._take(given)
        finally:
            renewing.reset(flag)

    async def _open(self, credentials: dict[str, Any] | None, **arguments: Any) -> Session:
        """Open a session and adopt it.

        :param credentials: what renews it. Without further arguments they open it, too, and sign nobody up.
        """
        # Apart from the current session, which other calls go on using until the new one has its user.
        apart = self.with_options()
        state = apart._session = SessionState(None)
        async with _deadline.awithin(_deadline.earliest("sessions.create", self.deadline)):
            try:
                session: Session = await apart.sessions.create(**arguments)
                state.token = hide(token_of(session))
                if credentials is not None and not arguments:
                    # unlike a session with a user, this creates no account.
                    user = await apart.sessions.login(**credentials)
                    session.user, session.user_id = user, user.id
            except errors.NotFound as error:
                if credentials is None or not (arguments or state.token):
                    raise
                raise unknown_login(error) from error
        self._session.adopt(session, credentials, state.expiry)
        return session

    async def login(
        self, *, login: str | None = None, email: str | None = None, password: str, create: bool = False
    ) -> Session:
        """Open a session for a user, and renew it with the same password whenever it is lost.

        With a custom identity provider, `login` is the provider's token and `password` any text.

        :param login: the user's login; give either this or `email`.
        :param email: the user's e-mail address.
        :param password: the user's password; kept in memory for the renewal.
        :param create: whether to create an account for an unknown login, if the application permits that. A renewal
            never does.
        :raises InvalidArgument: unless exactly one of login and email is given.
        :raises Unauthorized: if the login or the password is wrong; its `status` may be 404 for an unknown login.
        """
        # CR-03 is the custom identity provider.
        password = hide(password)
        user = password_user(login, email, password)
        return await self._open(dict(user), **({"user": user} if _wire.boolean("create", create) else {}))

    async def login_guest(self, *, full_name: str) -> Session:
        """Open a session for a new guest user, who exists for a day. Only `on_session_expired` can renew it.

        :param full_name: the name that other users see.
        """
        #
        user: dict[str, Any] = {
            "guest": True,
            "full_name": _wire.text("full_name", full_name, min_length=1),
        }
        return await self._open(None, user=user)

    async def login_provider(
        self, provider: Provider, *, token: str, secret: str | None = None, project_id: str | None = None
    ) -> Session:
        """Open a session with a token of an identity provider.

        Only `on_session_expired` can renew it, because such tokens are short-lived.

        :param provider: the identity provider.
        :param token: the provider's access token.
        :param secret: the token's secret, if the provider has one.
        :param project_id: the Firebase project; required by the `firebase_` providers, and invalid with others.
        :raises InvalidArgument: if the arguments don't match the provider.
        """
        #
        token, secret = hide(token), hide(secret)
        return await self._open(None, **provider_arguments(provider, token, secret, project_id))

    async def logout(self) -> None:
        """End the session on the server and forget it here. Does nothing without a session."""
        if self._session.token is None:
            return
        epoch = self._session.override()
        try:
            await self.sessions.delete()
        except errors.SessionExpired:
            pass  # It has ended, as requested.
        finally:
            if self._session.epoch == epoch:
                # Otherwise the program has meanwhile opened another session.
                self._session.use(None, None)
