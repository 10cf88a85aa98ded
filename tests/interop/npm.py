"""Programs in JavaScript, and the packages that they use."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

INSTALL_TIMEOUT = 300.0


class JavaScriptMissing(Exception):
    """Node.js or npm is missing, or npm could not install the packages."""


def installed(source: Path, build: str) -> Path:
    """Install the packages that a folder's `package.json` and `package-lock.json` name, if they are not there yet.

    :param build: the folder below `.build` to install into.
    :returns: that folder.
    :raises JavaScriptMissing: if they can't be installed.
    """
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        raise JavaScriptMissing(f"{' and '.join(missing)} can't be found")
    target = ROOT / ".build" / build
    target.mkdir(parents=True, exist_ok=True)
    # Tests run in several processes, and only one may install at a time.
    with target.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        _install(source, target)
    return target


def _install(source: Path, target: Path) -> None:
    lock = (source / "package-lock.json").read_bytes()
    # Written last, so the installation is complete if it exists.
    done = target / "package-lock.json"
    if done.exists() and done.read_bytes() == lock:
        return
    shutil.copy(source / "package.json", target)
    (target / "npm-shrinkwrap.json").write_bytes(lock)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    outcome = subprocess.run(
        command, cwd=target, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_TIMEOUT
    )
    if outcome.returncode:
        raise JavaScriptMissing(f"npm could not install the packages: {outcome.stderr or outcome.stdout}")
    done.write_bytes(lock)
