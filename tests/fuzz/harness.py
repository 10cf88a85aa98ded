"""Coverage-guided fuzzing of `connectycube.stanzas`: `python -m tests.fuzz.harness --runs 1000000`.

An input that fails is printed and kept in `failed/`, where `test_failed.py` finds it.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import multiprocessing
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["connectycube.stanzas"]):
    from connectycube import stanzas

    # Classes are loaded on first use, which is too late to instrument them.
    for name in sorted(Path(stanzas.__file__).parent.glob("*.py")):
        import_module(f"connectycube.stanzas.{name.stem}" if name.stem != "__init__" else "connectycube.stanzas")

from tests.fuzz.mutate import Mutator
from tests.fuzz.target import FAILED, check, examples


def fuzz(folder: str, options: argparse.Namespace, corpus: list[bytes], counts: list[ctypes.c_uint64]) -> None:
    """Fuzz to the limit and end the process, with status 0 if nothing was found."""

    def target(data: bytes) -> None:
        counts[0].value += 1
        try:
            counts[1].value += check(data)
        except Exception:
            # libFuzzer keeps it there too, unless Python ends the process first.
            Path(options.failed, f"crash-{hashlib.sha1(data).hexdigest()}").write_bytes(data)
            raise

    limit = f"-runs={options.runs}" if options.runs is not None else f"-max_total_time={options.seconds}"
    arguments = [sys.argv[0], limit, f"-artifact_prefix={options.failed}/", f"-seed={options.seed}", "-max_len=4096"]
    atheris.Setup([*arguments, "-verbosity=0", folder], target, custom_mutator=Mutator(corpus))
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz connectycube.stanzas.")
    bound = parser.add_mutually_exclusive_group(required=True)
    bound.add_argument("--runs", type=int, help="inputs to try")
    bound.add_argument("--seconds", type=int, help="how long to try inputs")
    parser.add_argument("--seed", type=int, default=0, help="where the mutations start; 0 is a random place")
    parser.add_argument("--failed", type=Path, default=FAILED, help="folder to keep failed inputs in")
    options = parser.parse_args()
    options.failed.mkdir(parents=True, exist_ok=True)
    corpus = list(examples())
    # libFuzzer ends its process abruptly, so it gets one of its own.
    context = multiprocessing.get_context("fork")
    counts = [context.RawValue(ctypes.c_uint64, 0) for _ in range(2)]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, xml in enumerate(corpus):
            Path(folder, f"{number:04}.xml").write_bytes(xml)
        process = context.Process(target=fuzz, args=(folder, options, corpus, counts))
        process.start()
        process.join()
    inputs, found = (count.value for count in counts)
    print(f"{inputs} inputs in {time.perf_counter() - start:.1f} s, {found} of them stanzas", flush=True)
    return process.exitcode or 0


if __name__ == "__main__":
    sys.exit(main())
