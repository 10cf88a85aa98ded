"""The driver reports what is missing, what was refused, and that it has ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectycube.sandbox import Sandbox
from tests.interop.javascript import Driver, DriverEnded, JsError
from tests.interop.npm import JavaScriptMissing
from tests.interop.stage import Stage, scenario


def test_missing_programs_are_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JavaScriptMissing, match="node and npm can't be found"):
        Driver()


def test_ended_process_fails_pending_calls(connectycube_sandbox: Sandbox) -> None:
    reached = []

    @scenario
    async def killed(stage: Stage) -> None:
        device = await stage.device()
        stage.sandbox.faults.delay_next(5)
        session = device.start("createSession")
        stage.driver.kill()
        with pytest.raises(DriverEnded, match="node ended with status -9"):
            await session
        with pytest.raises(DriverEnded):
            await device.event("onMessageListener")
        with pytest.raises(DriverEnded):
            await device.call("createSession")
        reached.append("the end")

    # The clients can't be closed either.
    with Driver() as driver, pytest.raises(DriverEnded):
        killed(Stage(connectycube_sandbox, driver))
    assert reached


@scenario
async def test_exceptions_of_the_sdk_are_reported(stage: Stage) -> None:
    device = await stage.device()
    with pytest.raises(JsError, match="First parameter must be an Array"):
        await device.call("addressbook.uploadAddressBook", {"name": "no list"})
    with pytest.raises(JsError, match="TypeError"):
        await device.call("chat.no.such.method")


@scenario
async def test_two_clients_share_nothing(stage: Stage) -> None:
    one, other = await stage.device(), await stage.device(chat_host="elsewhere.example")
    assert await one.get("service.sdkInstance.config.endpoints.chat") == stage.sandbox.chat_host
    assert await other.get("service.sdkInstance.config.endpoints.chat") == "elsewhere.example"
    assert await one.get("version") == await other.get("version") == "6.1.2"
