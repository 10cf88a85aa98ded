"""Chats behind a line that breaks, and a server that answers what only the platform knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from connectycube.chat import MessageReceived, Reconnected, Reconnecting
from connectycube.chat.machines.connection import Backoff
from tests.integration.chats import Person, people
from tests.integration.ejabberd import Ejabberd, User, binary
from tests.integration.proxy import FaultProxy
from tests.integration.support import eventually

FAST = Backoff(first=0.02, maximum=0.1)
"""Waits for tests that connect again often."""

NEVER = Backoff(first=3600, maximum=3600, spread=0)
"""A wait that only the user ends."""

PLAIN: dict[str, Any] = {"tls": "none", "ssl_context": None}
"""Options of a chat whose bytes the proxy can read."""


@asynccontextmanager
async def line(ejabberd: Ejabberd, **options: Any) -> AsyncIterator[FaultProxy]:
    """A proxy that stands before the port which the options of a chat want."""
    plain = options.get("tls") in ("none", "starttls")
    async with FaultProxy("127.0.0.1", ejabberd.ports.starttls if plain else ejabberd.ports.tls) as proxy:
        yield proxy


@asynccontextmanager
async def behind(ejabberd: Ejabberd, user: User, **options: Any) -> AsyncIterator[tuple[Person, FaultProxy]]:
    """A user who is online behind a proxy of their own."""
    options = {"backoff": FAST, **options}
    async with line(ejabberd, **options) as proxy:
        person = Person(ejabberd, user, port=proxy.port, **options)
        async with person.chat:
            await person.chat.ping()
            yield person, proxy
            # A server takes a tenth of a second to close its side of a stream.
            proxy.calm()
            proxy.cut()


@asynccontextmanager
async def present(ejabberd: Ejabberd, *users: User, **options: Any) -> AsyncIterator[list[Person]]:
    """Users who are online, and of whom the server knows that they are: it keeps no message for later."""
    async with people(ejabberd, *users, **options) as found:
        for person in found:
            await person.chat.ping()
        yield found


async def unplug(person: Person, proxy: FaultProxy) -> None:
    """Cut, let nobody connect, and wait until the chat has noticed."""
    known = len(person.told.of(Reconnecting))
    proxy.refuse()
    proxy.cut()
    await person.told.all(Reconnecting, known + 1)


async def forget(ejabberd: Ejabberd, person: Person) -> None:
    """Let the server forget the session of a chat that is unplugged: it can't be resumed."""
    await eventually(lambda: not ejabberd.resources(person.user) or ejabberd.kick(person.user) < 0)


async def back(person: Person, count: int) -> bool:
    """Wait until a chat was connected again so many times; whether the last one was a resumption."""
    return (await person.told.all(Reconnected, count))[-1].resumed


async def lose_session(ejabberd: Ejabberd, person: Person, proxy: FaultProxy) -> None:
    """Cut, and come back with a new session, furnished."""
    known = len(person.told.of(Reconnected))
    await unplug(person, proxy)
    await forget(ejabberd, person)
    await proxy.accept()
    assert not await back(person, known + 1)


def bodies(person: Person) -> list[str]:
    """The texts that a user has got, in their order."""
    return [event.message.body for event in person.told.of(MessageReceived)]


def wait_body(person: Person, body: str) -> Any:
    """Wait for a message."""
    return person.told.one(MessageReceived, lambda event: event.message.body == body)


MODULE = """
    -module(platform_iq).
    -export([decode_iq_subel/1, process/1]).
    decode_iq_subel(Element) -> Element.
    process(IQ) ->
        [Element] = element(7, IQ),
        ets:insert(platform_iq, {erlang:unique_integer([monotonic]), jid:encode(element(5, IQ)),
            fxml:element_to_binary(Element)}),
        xmpp:make_iq_result(IQ).
"""

PLATFORM = ("http://tigase.org/protocol/mobile#v2", "https://connectycube.com/protocol/status_streaming")


def play_platform(ejabberd: Ejabberd) -> None:
    """Let the server answer the two requests of the platform (K-51, K-52), and note them."""
    ejabberd.evaluate(
        f"""
        (fun() ->
            {{ok, Tokens, _}} = erl_scan:string(binary_to_list({binary(MODULE)})),
            Split = fun
                Next([], [], Forms) -> lists:reverse(Forms);
                Next([Dot = {{dot, _}} | More], Form, Forms) -> Next(More, [], [lists:reverse([Dot | Form]) | Forms]);
                Next([Token | More], Form, Forms) -> Next(More, [Token | Form], Forms)
            end,
            Forms = [element(2, {{ok, _}} = erl_parse:parse_form(Form)) || Form <- Split(Tokens, [], [])],
            {{ok, Name, Code}} = compile:forms(Forms),
            {{module, Name}} = code:load_binary(Name, "platform_iq", Code),
            catch ets:new(platform_iq, [named_table, public, ordered_set]),
            [gen_iq_handler:add_iq_handler(ejabberd_sm, <<"localhost">>, Space, Name, process)
                || Space <- [{", ".join(map(binary, PLATFORM))}]]
        end)()
        """
    )


def asked_of_platform(ejabberd: Ejabberd, user: User) -> list[str]:
    """The requests of a user that `play_platform` answered, as XML."""
    text = ejabberd.evaluate(
        f"iolist_to_binary(lists:join(<<10>>, [Xml || {{_, Jid, Xml}} <- ets:tab2list(platform_iq),"
        f" binary:match(Jid, {binary(user.jid)}) =/= nomatch]))"
    )
    return text.splitlines()
