"""Check what `make dist` has built: install the wheel with each extra in an environment of its own, and freeze a bot.

It writes `dist/sbom.json`, the bill of materials of an installation with all extras.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / ".build" / "release"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

IMPORTS = {
    "": ["connectycube.rest", "connectycube.stanzas"],
    "chat": ["connectycube.chat"],
    "bots": ["connectycube.bots"],
    "cli": ["connectycube.cli"],
    "fleet": ["connectycube.bots.fleet.engine"],
    "sandbox": ["connectycube.sandbox"],
    "all": ["connectycube.bots.fleet.engine", "connectycube.cli", "connectycube.sandbox"],
}
"""What must be importable with each extra."""

SCRIPTS = {"bots": "connectycube-bots", "cli": "connectycube", "sandbox": "connectycube-sandbox"}
"""The command of each extra that has one."""


def run(*command: object, cwd: Path = ROOT) -> str:
    """Run a command.

    :returns: its output.
    :raises SystemExit: if it fails, with what it printed.
    """
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def installed(extra: str, wheel: Path) -> Path:
    """Install the wheel in an environment that has nothing else.

    :returns: the folder of its commands.
    """
    folder = BUILD / f"extra-{extra or 'none'}"
    run(sys.executable, "-m", "uv", "venv", "--quiet", "--clear", "--python", sys.executable, folder)
    uv = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", folder / "bin" / "python")
    run(*uv, f"{wheel}[{extra}]" if extra else wheel)
    return folder / "bin"


def main() -> None:
    (wheel,) = (ROOT / "dist").glob("*.whl")
    assert set(IMPORTS) == {"", *PROJECT["optional-dependencies"]}, "name what each extra makes importable"
    for extra, modules in IMPORTS.items():
        commands = installed(extra, wheel)
        # Outside the project, whose source roots must not be found.
        run(commands / "python", "-W", "error", "-c", "; ".join(f"import {one}" for one in modules), cwd=BUILD)
        if extra in SCRIPTS:
            run(commands / SCRIPTS[extra], "--help", cwd=BUILD)
        print(f"{wheel.name}{f'[{extra}]' if extra else ''} works")

    everything = BUILD / "extra-all" / "bin" / "python"
    run(BUILD / "bin" / "cyclonedx-py", "environment", everything, "--output-file", ROOT / "dist" / "sbom.json")
    print("dist/sbom.json written")

    run(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", everything, "pyinstaller")
    freeze = (everything, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR", "--distpath", BUILD / "frozen")
    script = Path(__file__).with_name("frozen_bot.py")
    run(*freeze, "--workpath", BUILD / "work", "--specpath", BUILD, script, cwd=BUILD)
    said = run(BUILD / "frozen" / "frozen_bot" / "frozen_bot", cwd=BUILD)
    assert said == "You said: Hello\n", said
    print("a frozen bot answers in a frozen sandbox")


if __name__ == "__main__":
    main()
