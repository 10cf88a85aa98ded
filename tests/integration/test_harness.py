"""The ejabberd of the tests proves itself, with raw slixmpp and bare sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import slixmpp

from tests.integration.bare import SM, TLS, Bare
from tests.integration.ejabberd import Certificate, Ejabberd, children_of
from tests.integration.proxy import FaultProxy
from tests.integration.server import MUC_HOST, User, room_jid
from tests.integration.support import Seen, dialled, eventually, run

PROJECT = Path(__file__).parents[2]

Users = Callable[[], User]
Proxies = Callable[[int], FaultProxy]

CLIENT = "{jabber:client}"
MESSAGE = f"{CLIENT}message"
PRESENCE = f"{CLIENT}presence"

DIALOG = "66f1a7c2e4b0d93a51c8e201"

pytestmark = pytest.mark.usefixtures("ejabberd")


# The server, by slixmpp


@asynccontextmanager
async def slix(
    ejabberd: Ejabberd, user: User, port: int, *, direct: bool, mechanism: str | None = None
) -> AsyncIterator[slixmpp.ClientXMPP]:
    """A client of slixmpp that is present."""
    client = slixmpp.ClientXMPP(user.jid, user.password, plugin_config={"feature_mechanisms": {"use_mech": mechanism}})
    client.enable_direct_tls, client.enable_starttls = direct, not direct
    client.ssl_context = ejabberd.ssl_context()
    started = asyncio.ensure_future(client.wait_until("session_start"))
    client.connect("127.0.0.1", port)
    await started
    present = asyncio.ensure_future(client.wait_until("presence_available"))
    client.send_presence()
    await present
    try:
        yield client
    finally:
        filters = client._run_out_filters
        await client.disconnect()
        assert filters is not None
        filters.cancel()
        await asyncio.gather(filters, return_exceptions=True)


@pytest.mark.parametrize("mechanism", [None, "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"])
@pytest.mark.parametrize("listener", ["tls", "starttls", "starttls_required"])
def test_two_users_exchange_messages(ejabberd: Ejabberd, users: Users, listener: str, mechanism: str | None) -> None:
    async def main() -> None:
        port, direct = getattr(ejabberd.ports, listener), listener == "tls"
        one, other = users(), users()
        async with (
            slix(ejabberd, one, port, direct=direct, mechanism=mechanism) as sender,
            slix(ejabberd, other, port, direct=direct, mechanism=mechanism) as reader,
        ):
            seen: Seen[slixmpp.Message] = Seen()
            reader.add_event_handler("message", seen.append)
            sender.send_message(slixmpp.JID(other.jid), "hello", mtype="chat")
            message = await seen.one()
            assert (message["body"], message["from"].bare) == ("hello", one.jid)

    run(main())


# The server, by hand


@asynccontextmanager
async def present(ejabberd: Ejabberd, user: User, resource: str = "bare") -> AsyncIterator[Bare]:
    """A stream over direct TLS that is logged in."""
    async with Bare(ejabberd.ports.tls, ejabberd.ssl_context()) as bare:
        await bare.login(user, resource)
        yield bare


def test_each_listener_offers_its_features(ejabberd: Ejabberd) -> None:
    offered = {"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"}

    async def main() -> None:
        async with Bare(ejabberd.ports.starttls) as bare:
            assert bare.features.find(f"{{{TLS}}}starttls") is not None
            assert bare.mechanisms == offered
            await bare.start_tls(ejabberd.ssl_context())
            assert bare.features.find(f"{{{TLS}}}starttls") is None
            assert bare.mechanisms >= offered
        async with Bare(ejabberd.ports.starttls_required) as bare:
            assert bare.features.find(f"{{{TLS}}}starttls/{{{TLS}}}required") is not None
            assert bare.mechanisms == set()
        async with Bare(ejabberd.ports.tls, ejabberd.ssl_context()) as bare:
            assert bare.features.find(f"{{{TLS}}}starttls") is None
            assert bare.mechanisms >= offered

    run(main())


def test_xmpp_over_websocket_is_available(ejabberd: Ejabberd) -> None:
    async def main() -> None:
        async with dialled(ejabberd.ports.http) as (reader, writer):
            writer.write(
                b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Protocol: xmpp\r\n\r\n"
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"sec-websocket-protocol:xmpp\r\n" in head.lower().replace(b" ", b"")

    run(main())


@pytest.mark.parametrize("kind", ["other-ca", "other-name", "expired"])
def test_invalid_certificates_are_presented(ejabberd: Ejabberd, kind: Certificate) -> None:
    async def main() -> None:
        with ejabberd.certificate(kind):
            with pytest.raises(ssl.SSLCertVerificationError):
                async with Bare(ejabberd.ports.tls, ejabberd.ssl_context()):
                    pass
            async with Bare(ejabberd.ports.starttls) as bare:
                with pytest.raises(ssl.SSLCertVerificationError):
                    await bare.start_tls(ejabberd.ssl_context())
        async with Bare(ejabberd.ports.tls, ejabberd.ssl_context()):
            pass

    run(main())


def test_room_works_from_the_first_join(ejabberd: Ejabberd, users: Users) -> None:
    one, other = users(), users()
    room = room_jid(f"{one.id:024x}")
    join = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"

    async def main() -> None:
        async with present(ejabberd, one) as first, present(ejabberd, other) as second:
            codes: list[set[str | None]] = []
            for user, bare in ((one, first), (other, second)):
                bare.send(f"<presence id='x:join' to='{room}/{user.id}'>{join}</presence>")
                mine = await bare.receive(PRESENCE, **{"from": f"{room}/{user.id}"})
                codes.append({found.get("code") for found in mine.iter("{http://jabber.org/protocol/muc#user}status")})
            assert codes == [{"100", "110", "201"}, {"100", "110"}]
            second.send(f"<message type='groupchat' to='{room}' id='{DIALOG}'><body>all</body></message>")
            for bare in (first, second):
                message = await bare.receive(MESSAGE, id=DIALOG)
                assert (message.get("from"), message.findtext(f"{CLIENT}body")) == (f"{room}/{other.id}", "all")
            answer = await first.ask("get", "<query xmlns='http://jabber.org/protocol/disco#items'/>", room)
            items = answer.iter("{http://jabber.org/protocol/disco#items}item")
            assert {item.get("jid") for item in items} == {f"{room}/{one.id}", f"{room}/{other.id}"}
            assert room in ejabberd.rooms()
        # It is persistent.
        assert room in ejabberd.rooms()

    run(main())


def test_lost_stream_is_resumed(ejabberd: Ejabberd, users: Users) -> None:
    one, other = users(), users()

    async def main() -> None:
        async with present(ejabberd, one) as lost, present(ejabberd, other) as sender:
            assert lost.features.find(f"{{{SM}}}sm") is not None
            lost.send(f"<enable xmlns='{SM}' resume='true'/>")
            enabled = await lost.receive(f"{{{SM}}}enabled")
            assert (enabled.get("resume"), enabled.get("max")) == ("true", "60")
            await lost.drop()
            sender.send(f"<message type='chat' to='{one.jid}'><body>meanwhile</body></message>")
            # An answer to the sender says that the message before it was dealt with.
            await sender.ask("get", "<ping xmlns='urn:xmpp:ping'/>")
            assert ejabberd.resources(one) == ["bare"]
            async with Bare(ejabberd.ports.tls, ejabberd.ssl_context()) as back:
                await back.authenticate(one)
                back.send(f"<resume xmlns='{SM}' previd='{enabled.get('id')}' h='0'/>")
                assert (await back.receive(f"{{{SM}}}resumed")).get("h") == "0"
                assert (await back.receive(MESSAGE)).findtext(f"{CLIENT}body") == "meanwhile"
                back.send(f"<message type='chat' to='{other.jid}'><body>here</body></message><r xmlns='{SM}'/>")
                assert (await back.receive(f"{{{SM}}}a")).get("h") == "1"

    run(main())


def test_roster_and_privacy_lists_respond(ejabberd: Ejabberd, users: Users) -> None:
    one, other = users(), users()

    async def main() -> None:
        async with present(ejabberd, one) as first, present(ejabberd, other) as second:
            namespace = "{jabber:iq:roster}"
            assert first.features.find("{urn:xmpp:features:rosterver}ver") is not None
            answer = await first.ask("get", "<query xmlns='jabber:iq:roster' ver=''/>")
            assert [child.tag for child in answer] in ([], [f"{namespace}query"])
            await first.ask("set", f"<query xmlns='jabber:iq:roster'><item jid='{other.jid}' name='Ada'/></query>")
            answer = await first.ask("get", "<query xmlns='jabber:iq:roster'/>")
            items = [dict(item.attrib) for item in answer.iter(f"{namespace}item")]
            assert items == [{"jid": other.jid, "name": "Ada", "subscription": "none"}]

            deny = f"<item type='jid' value='{other.jid}' action='deny' order='1'><message/></item>"
            privacy = "<query xmlns='jabber:iq:privacy'>{}</query>"
            for payload in (f"<list name='blocked'>{deny}</list>", "<default name='blocked'/>"):
                answer = await first.ask("set", privacy.format(payload))
                assert answer.get("type") == "result"
            names = await first.ask("get", privacy.format(""))
            assert [(child.tag.partition("}")[2], child.get("name")) for child in names[0]] == [
                # ejabberd names the active list even when there is none.
                ("active", None),
                ("default", "blocked"),
                ("list", "blocked"),
            ]
            second.send(f"<message type='chat' id='m' to='{one.jid}'><body>no</body></message>")
            error = await second.receive(MESSAGE, id="m", type="error")
            condition = error.find(f"{CLIENT}error/")
            assert condition is not None
            assert condition.tag.endswith("}service-unavailable")

    run(main())


def test_room_user_is_blocked_by_resource(ejabberd: Ejabberd, users: Users) -> None:
    one, other, third = users(), users(), users()
    room = room_jid(f"{one.id:024x}")

    async def main() -> None:
        async with (
            present(ejabberd, one) as first,
            present(ejabberd, other) as second,
            present(ejabberd, third) as last,
        ):
            deny = f"<item type='jid' value='{MUC_HOST}/{other.id}' action='deny' order='1'><message/></item>"
            for payload in (f"<list name='blocked'>{deny}</list>", "<default name='blocked'/>"):
                await first.ask("set", f"<query xmlns='jabber:iq:privacy'>{payload}</query>")
            for user, bare in ((one, first), (other, second), (third, last)):
                bare.send(f"<presence to='{room}/{user.id}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
                await bare.receive(PRESENCE, **{"from": f"{room}/{user.id}"})
            for bare, text in ((second, "blocked"), (last, "let through")):
                bare.send(f"<message type='groupchat' to='{room}' id='{text}'><body>{text}</body></message>")
                await bare.receive(MESSAGE, id=text)
            await first.receive(MESSAGE, id="let through")
            assert not [found for found in first.unread if found.get("id") == "blocked"]

    run(main())


def test_sessions_are_kicked_replaced_and_removed(ejabberd: Ejabberd, users: Users) -> None:
    user = users()

    async def condition(bare: Bare) -> str:
        error = await bare.receive("{http://etherx.jabber.org/streams}error")
        with pytest.raises(EOFError):
            await bare.next()
        return error[0].tag.partition("}")[2]

    async def main() -> None:
        async with present(ejabberd, user) as old, present(ejabberd, user) as new:
            assert await condition(old) == "conflict"
            assert ejabberd.resources(user) == ["bare"]
            async with present(ejabberd, user, "other") as kicked:
                assert ejabberd.kick(user, "other") == 1
                assert await condition(kicked) == "policy-violation"
            assert ejabberd.kick(user) == 1
            assert await condition(new) == "policy-violation"
        gone = ejabberd.register()
        async with present(ejabberd, gone) as taken:
            ejabberd.unregister(gone)
            assert await condition(taken) == "conflict"
        changed = ejabberd.set_password(user, "another")
        async with present(ejabberd, changed):
            pass

    run(main())


def test_messages_wait_for_offline_users(ejabberd: Ejabberd, users: Users) -> None:
    one, other = users(), users()

    async def main() -> None:
        async with present(ejabberd, one) as sender:
            sender.send(f"<message type='chat' to='{other.jid}'><body>later</body></message>")
            await eventually(lambda: ejabberd.offline_messages(other) == 1)
        async with present(ejabberd, other) as reader:
            assert (await reader.receive(MESSAGE)).find("{urn:xmpp:delay}delay") is not None

    run(main())


@pytest.mark.parametrize("hard", [False, True])
def test_ports_and_users_survive_a_restart(ejabberd: Ejabberd, users: Users, hard: bool) -> None:
    user, ports = users(), ejabberd.ports

    async def main() -> None:
        async with present(ejabberd, user) as bare:
            if hard:
                await asyncio.to_thread(ejabberd.stop_hard)
                with pytest.raises((EOFError, ConnectionResetError)):
                    await bare.next()
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection("127.0.0.1", ports.tls)
                await asyncio.to_thread(ejabberd.start)
            else:
                restarted = asyncio.ensure_future(asyncio.to_thread(ejabberd.restart))
                # A node in a hurry closes the connection before its last words are out.
                with contextlib.suppress(EOFError):
                    error = await bare.receive("{http://etherx.jabber.org/streams}error")
                    assert error[0].tag.endswith("}system-shutdown")
                await restarted
        assert ejabberd.ports == ports
        async with present(ejabberd, user):
            pass

    run(main())


def gone(pids: list[int]) -> None:
    """Wait until processes have ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            assert select.select([handle], [], [], 30)[0], f"{pid} runs on"
            os.close(handle)


def test_stopped_node_leaves_nothing_behind() -> None:
    with Ejabberd() as own:
        processes = [own.pid, *children_of(own.pid)]
        assert own.folder.is_dir()
    gone(processes)
    assert not own.folder.exists()


def test_node_stops_with_its_parent_process(tmp_path: Path) -> None:
    script = (
        "from tests.integration.ejabberd import Ejabberd, children_of\n"
        "own = Ejabberd()\n"
        "own.start()\n"
        "print(own.pid, *children_of(own.pid), flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        processes = [int(word) for word in starter.stdout.readline().split()]
        starter.send_signal(signal.SIGKILL)
    assert processes
    gone(processes)
    assert not list(tmp_path.iterdir())


def test_missing_ejabberd_explains_how_to_install_it() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--server",
            "ejabberd",
            f"{__file__}::test_each_listener_offers_its_features",
        ],
        cwd=PROJECT,
        env={**os.environ, "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "ejabberd is not installed: `make interop` installs it and runs these tests" in done.stdout
    assert "1 error in" in done.stdout


# Through the proxy


def test_tls_passes_through_the_proxy(ejabberd: Ejabberd, users: Users, proxy: Proxies) -> None:
    async def main() -> None:
        async with proxy(ejabberd.ports.tls) as between:
            async with Bare(between.port, ejabberd.ssl_context()) as bare:
                await bare.login(users())
                between.corrupt("down")
                bare.send("<presence/>")
                with pytest.raises((ssl.SSLError, EOFError, OSError)):
                    await bare.receive(PRESENCE)
            await between.idle()

    run(main())
