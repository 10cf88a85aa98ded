"""A real ejabberd of a test run's own: on loopback, in a folder of its own, gone when it is stopped.

Debian's `ejabberdctl` changes to the package's user and keeps to `/etc`, `/var` and an epmd that stays behind, so this
runs `erl` itself on the package's code. The node has no name: without Erlang distribution there is no epmd, no
cookie and no port but the listeners'. A socket that the node inherits takes its place: over it Python has Erlang
expressions evaluated, and at its end the node takes away its folder and halts, so a test run that dies leaves nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import trustme

from tests.integration import platform_iq
from tests.integration.platform_iq import binary
from tests.integration.server import HOST, MUC_HOST, Ports, User
from tests.integration.support import free_ports

PATIENCE = 60.0
"""Seconds after which a node that does not answer is given up."""

AGENT = """
    Evaluate = fun(Text) ->
        {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text) ++ "."),
        {ok, Expressions} = erl_parse:parse_exprs(Tokens),
        {value, Value, _} = erl_eval:exprs(Expressions, []),
        Value
    end,
    spawn(fun() ->
        Port = open_port({fd, %d, %d}, [{packet, 4}, binary, eof]),
        (fun Loop() ->
            receive
                {Port, {data, Text}} ->
                    Answer = try Evaluate(Text) of
                        Bytes when is_binary(Bytes) -> [$+, Bytes];
                        Term -> [$+, unicode:characters_to_binary(io_lib:format("~0tp", [Term]))]
                    catch
                        Kind:Reason -> [$-, unicode:characters_to_binary(io_lib:format("~0tp", [{Kind, Reason}]))]
                    end,
                    port_command(Port, Answer),
                    Loop();
                {Port, eof} ->
                    file:del_dir_r(os:getenv("HOME")),
                    erlang:halt(0, [{flush, false}])
            end
        end)()
    end).
"""

Certificate = Literal["good", "other-ca", "other-name", "expired"]


class EjabberdMissing(Exception):
    """The machine has no ejabberd."""


class EjabberdFailed(Exception):
    """The node failed to carry out a command."""


@dataclass(frozen=True)
class EjabberdPorts(Ports):
    """The listeners of every server, and one more."""

    starttls_required: int
    """Plain XMPP until STARTTLS, without which nothing else is done."""


def find_code() -> Path:
    """The folder that holds the package's Erlang libraries."""
    found = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin/ejabberd.beam"))
    if not found or shutil.which("erl") is None:
        raise EjabberdMissing("ejabberd is not installed")
    return found[0].parents[2]


def children_of(parent: int) -> list[int]:
    """All processes below one."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold anything.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [parent]
    for process in found:
        found += [child for child, above in parents.items() if above == process]
    return found[1:]


class Ejabberd:
    """One server: a context manager, or `start` and `stop`.

    What it does blocks for some milliseconds, or for seconds where the node starts or stops: a test whose clients must
    go on meanwhile calls `await asyncio.to_thread(ejabberd.restart)`.

    :ivar resume_timeout: seconds for which a lost stream can be resumed.
    :ivar ack_timeout: seconds after which a client that leaves the server's `<r/>` unanswered is disconnected.
    :ivar loglevel: what the log holds; `debug` has each stanza.
    :ivar modules: options of modules, over those here; `None` takes a module out.
    """

    def __init__(
        self,
        *,
        resume_timeout: int = 60,
        ack_timeout: int = 300,
        loglevel: str = "warning",
        modules: dict[str, dict[str, Any] | None] | None = None,
    ) -> None:
        self._code = find_code()
        self._resume_timeout = resume_timeout
        self._ack_timeout = ack_timeout
        self._loglevel = loglevel
        self._modules = modules or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._agent: socket.socket | None = None
        self._ids = iter(range(81_001, 10_000_000))
        self.folder = Path(tempfile.mkdtemp(prefix="ejabberd-"))
        self.ports = EjabberdPorts(*free_ports(4))
        self._authorities = {"good": trustme.CA(), "other": trustme.CA()}
        self.ca_file = self.folder / "ca.pem"
        self._authorities["good"].cert_pem.write_to_path(str(self.ca_file))
        self._write_certificate("good")
        (self.folder / "ejabberd.yml").write_text(json.dumps(self._config(), indent=2), encoding="utf-8")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # The node

    def start(self) -> None:
        """Start the node, and return when it takes connections; after `stop_hard` with the same ports and data."""
        assert self._process is None, "it runs already"
        ours, its = socket.socketpair()
        ours.settimeout(PATIENCE)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "ERL_LIBS": str(self._code),
            "ERL_CRASH_DUMP_BYTES": "0",
            "EJABBERD_CONFIG_PATH": str(self.folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.log_file),
        }
        command = ["erl", "-noinput", "+Bd", "-mnesia", "dir", f'"{self.folder}/database"']
        command += ["-ejabberd", "log_rotate_count", "0", "quiet", "true"]
        # Nor does it watch memory, disks and processors, with a helper each.
        command += [word for name in ("memsup", "disksup", "cpu_sup") for word in ("-os_mon", f"start_{name}", "false")]
        command += ["-eval", AGENT % (its.fileno(), its.fileno())]
        with its, (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[its.fileno()],
                # An interrupt from the keyboard is for the tests alone.
                start_new_session=True,
            )
        self._agent = ours
        try:
            if not self.evaluate("ejabberd:start()").startswith("{ok,"):
                raise EjabberdFailed(f"ejabberd does not start: {self.log_tail()}")
            for port in (self.ports.starttls, self.ports.starttls_required, self.ports.tls, self.ports.http):
                # The listeners open only after the rest has started, each in a process of its own.
                self.evaluate(
                    f"""
                    (fun Try(0) -> error(no_listener);
                        Try(Left) -> case gen_tcp:connect({{127,0,0,1}}, {port}, []) of
                            {{ok, Socket}} -> gen_tcp:close(Socket);
                            _ -> timer:sleep(20), Try(Left - 1)
                        end
                    end)(500)
                    """
                )
        except BaseException:
            self.stop_hard()
            raise

    def stop(self) -> None:
        """End the node and take away its folder."""
        self.stop_hard()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop_hard(self) -> None:
        """Kill the node, as a crash does. What it had not written to disk is lost: see `sync`."""
        if self._process is None:
            return
        with contextlib.ExitStack() as stack:
            handles = []
            for process in children_of(self._process.pid):
                with contextlib.suppress(ProcessLookupError):
                    handles.append(handle := os.pidfd_open(process))
                    stack.callback(os.close, handle)
            self._process.kill()
            self._ended()
            # Its helpers end by themselves, unless something is wrong.
            for handle in handles:
                if not select.select([handle], [], [], 5)[0]:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    select.select([handle], [], [], PATIENCE)

    def stop_kindly(self) -> None:
        """Shut down cleanly: clients receive `system-shutdown`, all data is written to disk."""
        assert self._process is not None
        self.evaluate("init:stop()")
        self._process.wait(PATIENCE)
        self._ended()

    def restart(self) -> None:
        """Stop in order and start anew, with the same ports and users."""
        self.stop_kindly()
        self.start()

    def sync(self) -> None:
        """Have what was changed until now on the disk, so that it outlives `stop_hard`."""
        self.evaluate("mnesia:sync_log()")

    def evaluate(self, expression: str) -> str:
        """What an Erlang expression gives in the node: a term as it is printed, a binary as the text that it is."""
        assert self._agent is not None, "it does not run"
        text = expression.encode()
        try:
            self._agent.sendall(struct.pack("!I", len(text)) + text)
            (size,) = struct.unpack("!I", self._receive(4))
            answer = self._receive(size).decode()
        except OSError as error:
            raise EjabberdFailed(f"the node is gone: {self.log_tail()}") from error
        if not answer.startswith("+"):
            raise EjabberdFailed(f"the node refuses: {answer[1:]}")
        return answer[1:]

    def _receive(self, size: int) -> bytes:
        assert self._agent is not None
        data = b""
        while len(data) < size:
            if not (more := self._agent.recv(size - len(data))):
                raise ConnectionResetError("end of the agent's socket")
            data += more
        return data

    def _ended(self) -> None:
        assert self._process is not None
        assert self._agent is not None
        self._process.wait(PATIENCE)
        self._agent.close()
        self._process = self._agent = None

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        """The node's process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log_file(self) -> Path:
        return self.folder / "ejabberd.log"

    def log_tail(self) -> str:
        """The last words of the node."""
        texts = [path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log"))]
        return "\n".join(text[-2000:] for text in texts)

    # Accounts and sessions

    def register(self, user_id: int | None = None, password: str | None = None) -> User:
        """Make an account; its id is new, unless one is named."""
        user = User(next(self._ids) if user_id is None else user_id, password or f"pass-{random.randbytes(8).hex()}")
        done = self.evaluate(
            f"ejabberd_auth:try_register({binary(user.local)}, {binary(HOST)}, {binary(user.password)})"
        )
        if done != "ok":
            raise EjabberdFailed(f"{user.jid} is not registered: {done}")
        self.sync()
        return user

    def unregister(self, user: User) -> None:
        """Take an account away, with all that is kept for it; its sessions end."""
        self.evaluate(f"ejabberd_auth:remove_user({binary(user.local)}, {binary(HOST)})")

    def set_password(self, user: User, password: str) -> User:
        """The same account with another password; sessions stay."""
        self.evaluate(f"ejabberd_auth:set_password({binary(user.local)}, {binary(HOST)}, {binary(password)})")
        return User(user.id, password)

    def kick(self, user: User, resource: str | None = None) -> int:
        """End a user's sessions, or one of them, with a stream error; the number of them."""
        if resource is None:
            return int(self.evaluate(f"ejabberd_sm:kick_user({binary(user.local)}, {binary(HOST)})"))
        done = self.evaluate(f"ejabberd_sm:kick_user({binary(user.local)}, {binary(HOST)}, {binary(resource)})")
        return int(done == "true")

    def resources(self, user: User) -> list[str]:
        """The resources of a user's sessions, those included that were lost and can be resumed."""
        return self._texts(f"ejabberd_sm:get_user_resources({binary(user.local)}, {binary(HOST)})")

    def offline_messages(self, user: User) -> int:
        """How many messages wait for a user."""
        return int(self.evaluate(f"mod_offline:count_offline_messages({binary(user.local)}, {binary(HOST)})"))

    def rooms(self) -> list[str]:
        """The addresses of the rooms that run."""
        return self._texts(
            f"[<<Name/binary, $@, Host/binary>> || {{Name, Host, _}} <- mod_muc:get_online_rooms({binary(MUC_HOST)})]"
        )

    def _texts(self, expression: str) -> list[str]:
        """A list of binaries."""
        found: list[str] = json.loads(self.evaluate(f"iolist_to_binary(jiffy:encode({expression}))"))
        return found

    def group(self, first: User, *others: User) -> str:
        """A new dialog: its room is made by who joins it first."""
        return random.randbytes(12).hex()

    def private(self, one: User, other: User) -> str:
        """A dialog, of which this server knows nothing."""
        return random.randbytes(12).hex()

    def play_platform(self) -> None:
        """Let the server answer the two requests of the platform (K-51, K-52), and note them."""
        self.evaluate(platform_iq.LOAD)

    def asked_of_platform(self, user: User) -> list[str]:
        """The requests of a user that were answered so, as XML."""
        return self.evaluate(platform_iq.asked(user)).splitlines()

    # TLS

    def ssl_context(self) -> ssl.SSLContext:
        """A client's context that trusts this server's authority alone."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    @contextlib.contextmanager
    def certificate(self, kind: Certificate) -> Iterator[None]:
        """Show another certificate to the connections of a `with` block."""
        self._write_certificate(kind)
        self._reload_certificate()
        try:
            yield
        finally:
            self._write_certificate("good")
            self._reload_certificate()

    def _write_certificate(self, kind: Certificate) -> None:
        now = datetime.now(UTC)
        days = (-2, -1) if kind == "expired" else (-1, 365)
        made = self._authorities["other" if kind == "other-ca" else "good"].issue_cert(
            *(["elsewhere.example"] if kind == "other-name" else [HOST, MUC_HOST]),
            # ejabberd shows a certificate only where it has the name that is asked for. This one no client reads.
            common_name=HOST,
            not_before=now + timedelta(days=days[0]),
            not_after=now + timedelta(days=days[1]),
        )
        made.private_key_and_cert_chain_pem.write_to_path(str(self.folder / "server.pem"))

    def _reload_certificate(self) -> None:
        # Without an explicit removal the old one stays known and may be the one chosen.
        self.evaluate(f"ejabberd_pkix:del_certfile({binary(f'{self.folder}/server.pem')})")
        self.evaluate("ejabberd_pkix:commit()")
        self.evaluate("fast_tls:clear_cache()")

    def _config(self) -> dict[str, Any]:
        """`ejabberd.yml`: YAML that happens to be JSON."""
        # With the 5 that wait by default, a crowd that dials at once waits for a second.
        tcp = {"ip": "127.0.0.1", "backlog": 1024}
        c2s = {"module": "ejabberd_c2s", **tcp, "max_stanza_size": 1 << 20}
        modules: dict[str, dict[str, Any] | None] = {
            "mod_carboncopy": {},
            "mod_client_state": {},
            "mod_disco": {},
            "mod_last": {},
            "mod_time": {},
            "mod_muc": {
                "host": MUC_HOST,
                "max_user_conferences": 10_000,
                "max_users": 5_000,
                "default_room_options": {
                    "persistent": True,
                    "public": True,
                    "moderated": False,
                    "anonymous": False,
                    "max_users": 5_000,
                },
            },
            "mod_offline": {},
            # It answers pings, and sends none.
            "mod_ping": {"send_pings": False},
            "mod_privacy": {},
            "mod_roster": {"versioning": True},
            "mod_stream_mgmt": {
                "resume_timeout": self._resume_timeout,
                "ack_timeout": self._ack_timeout,
                "max_ack_queue": 100_000,
                "resend_on_timeout": "if_offline",
            },
        }
        modules |= self._modules
        return {
            "hosts": [HOST],
            "loglevel": self._loglevel,
            "hide_sensitive_log_data": True,
            "certfiles": [str(self.folder / "server.pem")],
            "ca_file": str(self.ca_file),
            "acme": {"auto": False},
            "listen": [
                {"port": self.ports.starttls, **c2s, "starttls": True},
                {"port": self.ports.starttls_required, **c2s, "starttls_required": True},
                {"port": self.ports.tls, **c2s, "tls": True},
                {
                    "port": self.ports.http,
                    **tcp,
                    "module": "ejabberd_http",
                    "request_handlers": {"/ws": "ejabberd_http_ws"},
                },
            ],
            # The only way to offer all of PLAIN, SCRAM-SHA-1 and SCRAM-SHA-256.
            "auth_password_format": "plain",
            "disable_sasl_mechanisms": ["DIGEST-MD5", "X-OAUTH2"],
            "resource_conflict": "closeold",
            "max_fsm_queue": 1_000_000,
            "shaper_rules": {"max_user_sessions": 1_000, "max_user_offline_messages": 100_000},
            "modules": {name: options for name, options in modules.items() if options is not None},
        }
