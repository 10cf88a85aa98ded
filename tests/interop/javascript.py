"""Install the official JavaScript SDK, and drive its clients in a Node.js process.

`Driver` is the process, `Device` one client in it: `await device.call("chat.dialog.create", {...})` calls a method of
the SDK, `await device.event("onMessageListener")` waits for what it tells a listener.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tests.interop.npm import installed

HERE = Path(__file__).parent

END_TIMEOUT = 5.0


class DriverEnded(Exception):
    """The process ended unexpectedly; the message holds its output."""


class JsError(Exception):
    """The reason why the SDK rejected a call.

    :ivar value: that, as it is, but an `Error` as an object.
    """

    def __init__(self, value: Any) -> None:
        super().__init__(json.dumps(value))
        self.value = value

    @property
    def code(self) -> Any:
        """The error's code, usually the status of a response."""
        return self.value["code"]


def program(source: Path) -> Path:
    """A program that uses the SDK, beside the SDK itself, which npm brings if it is not there yet.

    :param source: the program; the copy beside the SDK is what runs, for Node.js looks for modules there.
    :raises JavaScriptMissing: if that can't be.
    """
    build = installed(HERE, "javascript")
    shutil.copy(source, build)
    return build / source.name


class Driver:
    """The process. Its answers may be waited for in any loop and thread.

    :ivar strays: what was thrown in the SDK without anybody there to catch it.
    """

    def __init__(self) -> None:
        driver = program(HERE / "driver.mjs")
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            ["node", str(driver)],
            cwd=driver.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
        )
        self._ids = itertools.count(1)
        self._names = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._devices: dict[str, Device] = {}
        self._lock = threading.Lock()
        self._ended = False
        self.strays: list[Any] = []
        self._reader = threading.Thread(target=self._read, name="javascript", daemon=True)
        self._reader.start()

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            # The process ends when its input does.
            self._process.stdin.close()
        try:
            self._process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def send(self, command: str, **arguments: Any) -> Future[Any]:
        """Send the process a command and return a future for its answer."""
        answer: Future[Any] = Future()
        with self._lock:
            if self._ended:
                raise self._end()
            number = next(self._ids)
            self._waiting[number] = answer
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "command": command, **arguments}) + "\n")
        self._process.stdin.flush()
        return answer

    async def open(self, credentials: dict[str, Any], options: dict[str, Any]) -> Device:
        """Create a client.

        :param credentials: first argument of the SDK's `init`.
        :param options: the second one.
        """
        device = Device(self, f"{next(self._names)}")
        self._devices[device.name] = device
        await asyncio.wrap_future(self.send("open", client=device.name, credentials=credentials, options=options))
        return device

    async def close(self, device: Device) -> None:
        """Disconnect a client and forget it."""
        await asyncio.wrap_future(self.send("close", client=device.name))
        del self._devices[device.name]

    def _end(self) -> DriverEnded:
        self._log.seek(0)
        return DriverEnded(f"node ended with status {self._process.poll()}:\n{self._log.read()}")

    # On the reader's thread

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._take(json.loads(line))
        self._process.wait()
        with self._lock:
            self._ended = True
            error = self._end()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(error)
        for device in list(self._devices.values()):
            device.tell("", [], error)

    def _take(self, line: dict[str, Any]) -> None:
        if "stray" in line:
            self.strays.append(line["stray"])
        elif "event" in line:
            device = self._devices.get(line["client"])
            if device is not None:
                device.tell(line["event"], line["args"])
        else:
            answer = self._waiting.pop(line["id"])
            if "error" in line:
                answer.set_exception(JsError(line["error"]))
            else:
                answer.set_result(line["result"])


class Device:
    """A client of the SDK. It belongs to the loop in which it is made.

    :ivar name: what the driver calls it.
    :ivar events: what the listeners were told and nobody has waited for yet: name and arguments, oldest first.
    """

    def __init__(self, driver: Driver, name: str) -> None:
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._error: DriverEnded | None = None
        self.name = name
        self.events: list[tuple[str, list[Any]]] = []

    def start(self, path: str, *args: Any) -> asyncio.Future[Any]:
        """Start a call of an SDK method and return a future for its result."""
        return asyncio.wrap_future(self._driver.send("call", client=self.name, path=path, args=args))

    async def call(self, path: str, *args: Any) -> Any:
        """Call a method of the SDK, such as `chat.dialog.create`, and return its result.

        A dict `{"$file": path}` becomes a stream of that file.

        :raises JsError: if it is rejected or throws.
        """
        return await self.start(path, *args)

    async def get(self, path: str) -> Any:
        """Return a value of the SDK; names below `exports` belong to its module."""
        return await asyncio.wrap_future(self._driver.send("get", client=self.name, path=path))

    async def retry(self, session: dict[str, Any]) -> None:
        """Answer `sessionExpired` with another session."""
        await asyncio.wrap_future(self._driver.send("retry", client=self.name, session=session))

    async def give_up(self) -> None:
        """Answer `sessionExpired` with nothing."""
        await asyncio.wrap_future(self._driver.send("giveUp", client=self.name))

    async def event(self, name: str, matches: Callable[[list[Any]], bool] = lambda args: True) -> list[Any]:
        """Wait for a matching call of a listener, consume it and return its arguments."""
        while True:
            for number, (told, args) in enumerate(self.events):
                if told == name and matches(args):
                    del self.events[number]
                    return args
            if self._error is not None:
                raise self._error
            self._changed.clear()
            await self._changed.wait()

    def told(self, name: str) -> list[list[Any]]:
        """Return the arguments of all calls of a listener that were not consumed."""
        return [args for told, args in self.events if told == name]

    def tell(self, name: str, args: list[Any], error: DriverEnded | None = None) -> None:
        """Report, from another thread, that a listener was called or the process ended."""

        def take() -> None:
            self._error = self._error or error
            if error is None:
                self.events.append((name, args))
            self._changed.set()

        # Nobody waits in a closed loop.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(take)
