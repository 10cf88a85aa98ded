"""`python -m generator`: make `generated/` from `spec/`, or a client package from any OpenAPI 3 document.

With `generated/` it makes the blocking chat, from the asynchronous one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from keyword import iskeyword
from pathlib import Path

from . import blocking, output
from .faults import Fault, SpecFaults, printable
from .machines import generate as machines
from .rest import conformance
from .rest.generate import bundled, load, package
from .stanzas import generate as stanzas

ROOT = Path(__file__).parent.parent
SPEC = Path("spec/rest")
STANZAS = Path("spec/stanzas")
MACHINES = Path("spec/machines")
OUT = Path("generated")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the generator.

    :returns: 0 when done, 1 when the spec has faults, the output can't be made or (with `--check`) differs.
    """
    parser = argparse.ArgumentParser(prog="python -m generator", description=__doc__)
    parser.add_argument("--spec", type=Path, help="an OpenAPI 3 file or a folder of them (default: spec/)")
    parser.add_argument("--out", type=Path, help="the folder to make the package in (default: generated/)")
    parser.add_argument("--package", help="the package's name, dots allowed")
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    options = parser.parse_args(arguments)
    if options.spec is None and (options.out or options.package):
        parser.error("--out and --package go with --spec")
    if options.spec is not None and options.out is None:
        parser.error("--spec needs --out")
    try:
        if options.spec is None:
            files, folder = own(), ROOT / OUT
        else:
            name = "client" if options.package is None else options.package
            files, folder = foreign(options.spec, name), options.out.joinpath(*name.split("."))
        files = output.formatted(files)
        twins = output.formatted(blocking.modules(ROOT)) if options.spec is None else {}
        if options.check:
            found = output.differences(files, folder)
            return report(found + blocking.differences(twins, ROOT) if twins else found, folder)
        output.swap(files, folder)
        blocking.write(twins, ROOT)
    except SpecFaults as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        count = len(error.faults)
        print(f"{count} fault{'s' if count != 1 else ''} in the spec; nothing was written", file=sys.stderr)
        return 1
    except output.GenerationError as error:
        print(f"{error}\nnothing was written", file=sys.stderr)
        return 1
    print(f"{len(files)} files written to {folder}")
    if twins:
        print(f"{len(twins)} files written to {ROOT / blocking.FOLDER}")
    return 0


def own() -> dict[str, str]:
    """All files of `generated/`: its three parts, with the faults of all."""
    files: dict[str, str] = {}
    faults: list[Fault] = []
    for part in (rest_part, stanza_part, machine_part):
        try:
            files |= part()
        except SpecFaults as error:
            faults += error.faults
    if faults:
        raise SpecFaults(faults)
    return files


def stanza_part() -> dict[str, str]:
    return stanzas.package(ROOT / STANZAS, ROOT, STANZAS.as_posix())


def machine_part() -> dict[str, str]:
    return machines.package(ROOT / MACHINES, ROOT, MACHINES.as_posix())


def rest_part() -> dict[str, str]:
    label = SPEC.as_posix()
    document = load(ROOT / SPEC, ROOT)
    files = {"openapi.yaml": bundled(document, label)}
    rest, api = package(document, ROOT / SPEC, label)
    if api.warnings:
        raise SpecFaults([Fault(label, 1, warning, "Mend the spec") for warning in api.warnings])
    files |= {f"connectycube/rest/{name}": text for name, text in rest.items()}
    files |= {f"conformance/{name}": text for name, text in conformance.render(api, label).items()}
    return files


def foreign(spec: Path, name: str) -> dict[str, str]:
    """The files of a package made from somebody else's document."""
    if not all(part.isidentifier() and not iskeyword(part) for part in name.split(".")):
        remedy = "give letters, digits and underscores, and no word of Python's"
        raise output.GenerationError(f"{name!r} is no name of a package: {remedy}")
    document = load(spec)
    files, api = package(document, spec, spec.name)
    for warning in api.warnings:
        print(f"warning: {printable(warning)}", file=sys.stderr)
    return files


def report(found: list[str], folder: Path) -> int:
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print(f"{folder} is not what the spec makes: run `make generate`", file=sys.stderr)
        return 1
    print(f"{folder} is what the spec makes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
