"""Clients made from ordinary OpenAPI 3.0 and 3.1 documents, run against a real server, sync and async."""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from email.parser import BytesParser
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import pytest

from generator.source import load, plain
from tests.test_types import MYPY_CACHE

from .refresh_golden import FOLDER
from .server import Request, Server, running
from .support import SPECS, run, tree

Call = Callable[[Any], Any]
Caller = Callable[[Call], Any]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the packages `ordinary.farm`, `ordinary.shop` and `ordinary.library`, on the path."""
    folder = tmp_path_factory.mktemp("packages")
    for spec in (SPECS / "farm.yaml", SPECS / "shop.yaml", FOLDER / "spec.yaml"):
        name = "library" if spec.stem == "spec" else spec.stem
        outcome = run("--spec", spec, "--out", folder, "--package", f"ordinary.{name}")
        assert outcome.status == 0
        assert outcome.err == ""
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "ordinary"]:
        del sys.modules[name]


@pytest.fixture
def farm(packages: Path) -> ModuleType:
    return import_module("ordinary.farm")


@pytest.fixture
def shop(packages: Path) -> ModuleType:
    return import_module("ordinary.shop")


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as found:
        yield found


def caller(package: ModuleType, mode: str, server: Server, **options: Any) -> Caller:
    """Makes a call with the sync or the async client of a package."""

    def call(make: Call) -> Any:
        if mode == "sync":
            with package.Client(server.url, max_retries=0, **options) as client:
                return make(client)

        async def wait() -> Any:
            async with package.AsyncClient(server.url, max_retries=0, **options) as client:
                return await make(client)

        return asyncio.run(wait())

    return call


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def on_farm(farm: ModuleType, mode: str, server: Server) -> Caller:
    return caller(farm, mode, server, token="the-token", basic=("user", "pass"), key="the-key")


@pytest.fixture
def in_shop(shop: ModuleType, mode: str, server: Server) -> Caller:
    return caller(shop, mode, server)


REX = {"name": "Rex", "kind": "dog", "legs": 4, "born": "2024-05-06", "children": [{"name": "Rob", "kind": "dog"}]}


def said(server: Server, value: Any, **more: Any) -> None:
    server.says(json.dumps(value).encode(), **more)


def parts(request: Request) -> list[tuple[str, str | None, bytes]]:
    """Name, file name and content of each part of a multipart form."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + request.body)
    found = []
    for part in message.walk():
        if not part.is_multipart():
            name = part.get_param("name", header="content-disposition")
            assert isinstance(name, str)
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found.append((name, part.get_filename(), content))
    return found


def test_every_style_of_a_query(on_farm: Caller, server: Server) -> None:
    said(server, [REX])
    found = on_farm(
        lambda farm: farm.animals.list_animals(
            kind="2-headed calf",
            ids=[1, 2],
            colour=["light brown", "black&white"],
            near=[1.5, -2],
            words=["a", "b", "c"],
            where={"field_": "north", "stall": 3},
            box={"left": 1, "top": 2},
            query_={"text": 'say "moo"'},
            tame=True,
            born_after=dt.date(2024, 1, 2),
            seen_after=dt.datetime(2024, 1, 2, 3, 4, tzinfo=dt.UTC),
            x_farm="Green Acres",
        )
    )
    assert server.last.method == "GET"
    assert server.last.path == "/api/animals"
    assert server.last.query == [
        ("kind", "2-headed calf"),
        ("ids", "1,2"),
        ("colour", "light brown"),
        ("colour", "black&white"),
        ("near", "1.5|-2"),
        ("words", "a b c"),
        ("where[field]", "north"),
        ("where[stall]", "3"),
        ("left", "1"),
        ("top", "2"),
        ("query", '{"text":"say \\"moo\\""}'),
        ("tame", "true"),
        ("born_after", "2024-01-02"),
        ("seen_after", "2024-01-02T03:04:00Z"),
    ]
    assert server.last.headers["x-farm"] == "Green Acres"
    assert server.last.headers["authorization"] == "Bearer the-token"
    assert [(animal.name, animal.born) for animal in found] == [("Rex", dt.date(2024, 5, 6))]


def test_smallest_query(on_farm: Caller, server: Server) -> None:
    said(server, [])
    assert on_farm(lambda farm: farm.animals.list_animals()) == []
    assert server.last.query == []
    assert "x-farm" not in server.last.headers


def test_all_of_and_references(on_farm: Caller, farm: ModuleType, server: Server) -> None:
    said(server, {**REX, "chip": 7, "keeper": {"name": "Ann", "phone": "12"}, "mother": {"name": "Ria"}}, status=201)
    children = [{"name": "Rob", "kind": "dog"}]
    stall = {"number": 3, "sunny": True}
    dog = on_farm(
        lambda client: client.animals.add_animal(name="Rex", kind=farm.Kind.DOG, stall=stall, chip=7, children=children)
    )
    assert json.loads(server.last.body) == {
        "name": "Rex",
        "kind": "dog",
        "stall": {"number": 3, "sunny": True},
        "chip": 7,
        "children": [{"name": "Rob", "kind": "dog"}],
    }
    assert server.last.headers["content-type"] == "application/json"
    assert type(dog) is farm.Dog
    assert dog.chip == 7
    assert dog.kind is farm.Kind.DOG
    assert dog.legs is farm.Legs.VALUE_4
    assert dog.mother.name == "Ria"
    assert type(dog.children[0]) is farm.Animal
    assert dog.keeper.extra == {"phone": "12"}
    assert farm.Dog.from_dict(dog.to_dict()) == dog


def test_responses_are_read_leniently(on_farm: Caller, farm: ModuleType, server: Server) -> None:
    server.says(b'{"name": 5, "kind": "horse", "legs": "4", "chip": [], "grid": null, "odd": {}}')
    dog = on_farm(lambda farm: farm.animals.get_animals_animal_id(9))
    assert server.last.path == "/api/animals/9"
    assert type(dog) is farm.Dog
    assert (dog.name, dog.kind, dog.legs, dog.chip, dog.grid) == ("5", "horse", farm.Legs.VALUE_4, None, [])
    assert dog.extra == {"chip": [], "odd": {}}


def test_empty_response(on_farm: Caller, server: Server) -> None:
    server.says(b"", status=204)
    assert on_farm(lambda farm: farm.animals.remove_animal(9)) is None
    assert server.last.method == "DELETE"
    assert "authorization" not in server.last.headers


def test_alternative_security_and_json_media_type(on_farm: Caller, server: Server) -> None:
    said(server, {"kind": "cat", "lives": 9})
    found = on_farm(lambda farm: farm.animals.rename_animal(9, name=None, body_animal_id=4))
    assert found == {"kind": "cat", "lives": 9}
    assert json.loads(server.last.body) == {"name": None, "animal_id": 4}
    assert server.last.headers["content-type"] == "application/merge-patch+json"
    assert server.last.headers["authorization"] == "Basic dXNlcjpwYXNz"
    assert "x-key" not in server.last.headers


def test_second_security_scheme(farm: ModuleType, mode: str, server: Server) -> None:
    call = caller(farm, mode, server, key="the-key")
    call(lambda farm: farm.animals.rename_animal(9))
    assert server.last.headers["x-key"] == "the-key"
    assert "authorization" not in server.last.headers
    assert server.last.body == b""
    with pytest.raises(farm.ConfigurationError, match="list_animals needs token"):
        call(lambda farm: farm.animals.list_animals())
    assert len(server.requests) == 1


@pytest.mark.parametrize("as_file", [False, True], ids=["bytes", "file"])
def test_binary_body(on_farm: Caller, server: Server, as_file: bool) -> None:
    said(server, 4)
    data = bytes(range(256)) * 1000
    found = on_farm(lambda farm: farm.animals.set_photo(9, body=io.BytesIO(data) if as_file else data))
    assert found == 4
    assert server.last.body == data
    assert server.last.headers["content-type"] == "application/octet-stream"


def test_binary_response(on_farm: Caller, server: Server) -> None:
    server.says(b"\x89PNG\r\n\x1a\n\x00", "image/png")
    assert on_farm(lambda farm: farm.animals.get_photo(9)) == b"\x89PNG\r\n\x1a\n\x00"
    assert server.last.headers["accept"] == "image/png"


def test_multipart_body_and_text_response(on_farm: Caller, server: Server) -> None:
    server.says("grüezi".encode(), "text/plain; charset=utf-8")
    found = on_farm(
        lambda farm: farm.animals.send_photo(
            9, picture=io.BytesIO(b"\x00\xff"), caption="Rex & Rob", public=False, labels=["a", "b,c"]
        )
    )
    assert found == "grüezi"
    assert server.last.headers["accept"] == "text/plain"
    sent = parts(server.last)
    assert [(name, content) for name, _, content in sent] == [
        ("picture", b"\x00\xff"),
        ("caption", b"Rex & Rob"),
        ("public", b"false"),
        ("labels", b"a"),
        ("labels", b"b,c"),
    ]
    assert [name for name, file, _ in sent if file is not None] == ["picture"]


def test_path_of_every_type(on_farm: Caller, server: Server) -> None:
    said(server, {"dog": 2, "cat": "3"})
    found = on_farm(
        lambda farm: farm.default.get_herd_date_size_weight_kind_tame_names(
            dt.date(2024, 1, 2), 5, -1.5, "dog", False, ["a/b", "ü"]
        )
    )
    assert found == {"dog": 2, "cat": 3}
    assert server.last.path == "/api/herd/2024-01-02/5/-1.5/dog/false/a%2Fb,%C3%BC"


def test_form_body(on_farm: Caller, server: Server) -> None:
    said(server, {"name": "Ann", "boss": {"name": "Bob"}})
    keeper = on_farm(lambda farm: farm.default.create_keeper(name="Ann & Co", age=33, self_=True))
    assert server.last.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(server.last.body.decode()) == [("name", "Ann & Co"), ("age", "33"), ("self", "true")]
    assert keeper.boss.name == "Bob"


def test_body_that_is_a_list(on_farm: Caller, server: Server) -> None:
    said(server, ["Ann", 5])
    found = on_farm(
        lambda farm: farm.default.import_keepers(body=[{"name": "Ann", "phone": "12"}, {"boss": {"name": "Bob"}}])
    )
    assert found == ["Ann", "5"]
    assert json.loads(server.last.body) == [{"name": "Ann", "phone": "12"}, {"boss": {"name": "Bob"}}]


@pytest.mark.parametrize("value", [{"a": [1, None]}, [1.5], "text", 0, False])
def test_body_and_response_without_a_schema(on_farm: Caller, server: Server, value: object) -> None:
    said(server, value)
    assert on_farm(lambda farm: farm.default.send_anything(body=value)) == value
    assert json.loads(server.last.body) == value


def test_invalid_arguments_send_nothing(on_farm: Caller, farm: ModuleType, server: Server) -> None:
    herd = attrgetter("default.get_herd_date_size_weight_kind_tame_names")
    wrong: list[tuple[str, Call]] = [
        ("kind", lambda farm: farm.animals.list_animals(kind="horse")),
        ("ids[1]", lambda farm: farm.animals.list_animals(ids=[1, "2"])),
        ("animal_id", lambda farm: farm.animals.remove_animal(0)),
        ("x_farm", lambda farm: farm.animals.list_animals(x_farm="a\r\nX-Evil: b")),
        ("x_farm", lambda farm: farm.animals.list_animals(x_farm="ü")),
        ("name", lambda farm: farm.animals.add_animal(name="", kind="dog")),
        ("stall['number']", lambda farm: farm.animals.add_animal(name="Rex", kind="dog", stall={})),
        ("names[0]", lambda farm: herd(farm)("2024-01-02", 5, 1, "dog", True, [""])),
    ]
    for argument, make in wrong:
        with pytest.raises(farm.InvalidArgument) as caught:
            on_farm(make)
        assert caught.value.argument == argument
    assert server.requests == []


def test_error_response(on_farm: Caller, farm: ModuleType, server: Server) -> None:
    server.says(b'{"detail": "No room."}', "application/problem+json", 422)
    with pytest.raises(farm.Unprocessable) as caught:
        on_farm(lambda farm: farm.animals.add_animal(name="Rex", kind="dog"))
    assert caught.value.body == {"detail": "No room."}
    assert caught.value.operation == "animals.add_animal"


def test_openapi_3_0(in_shop: Caller, shop: ModuleType, server: Server) -> None:
    said(server, [{"id": 1, "name": "Tom", "class": "bird", "owner": None}, {"id": 2, "owner": {"pets": [{"id": 3}]}}])
    pets = in_shop(
        lambda shop: shop.default.get_pets(limit=5, query_="cats", body_="b", a_b="one", a_b_2="two", page=3)
    )
    assert server.last.query == [("limit", "5"), ("query", "cats"), ("body", "b"), ("a-b", "one"), ("a_b", "two")]
    assert server.last.headers["page"] == "3"
    assert [type(pet) for pet in pets] == [shop.Pet, shop.Pet]
    assert pets[0].class_ is shop.PetClass.BIRD
    assert pets[1].owner.pets[0].id == 3


def test_required_beside_all_of_and_null(in_shop: Caller, server: Server) -> None:
    server.says(b"", status=201)
    assert in_shop(lambda shop: shop.default.post_pets(id=4, name="Tom", tag=None, class_=None, owner=None)) is None
    assert json.loads(server.last.body) == {"id": 4, "name": "Tom", "tag": None, "class": None, "owner": None}
    in_shop(lambda shop: shop.default.post_pets(id=4, name="Tom", extra={"more": [1]}))
    assert json.loads(server.last.body) == {"id": 4, "name": "Tom", "more": [1]}


def test_only_a_required_identity_must_be_there(in_shop: Caller, shop: ModuleType, server: Server) -> None:
    said(server, {"id": 4})
    assert in_shop(lambda shop: shop.pets.show_pet_by_id("4")).name is None
    said(server, {"name": "Tom"})
    with pytest.raises(shop.DecodeError, match=r"show_pet_by_id can't be read, because Pet has no id"):
        in_shop(lambda shop: shop.pets.show_pet_by_id("4"))
    assert inspect.get_annotations(shop.Pet)["id"] == "int"


def test_first_tag_and_name_of_the_wire(in_shop: Caller, server: Server) -> None:
    said(server, {"id": "4"})
    pet = in_shop(lambda shop: shop.pets.show_pet_by_id("a b"))
    assert pet.id == 4
    assert server.last.path == "/api/pets/a%20b"


def test_both_clients_have_the_same_methods(farm: ModuleType, packages: Path) -> None:
    for name in ("animals", "default"):
        module = import_module(f"ordinary.farm.resources.{name}")
        classes = [getattr(module, prefix + name.capitalize()) for prefix in ("", "Async")]
        ours, theirs = ({key for key, _ in inspect.getmembers(cls, inspect.isfunction)} for cls in classes)
        assert ours == theirs
        assert len(ours) >= 5


def test_a_json_file_makes_the_same_package(tmp_path: Path, packages: Path) -> None:
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(plain(load(SPECS / "shop.yaml", "shop.yaml"))))
    assert run("--spec", file, "--out", tmp_path / "out", "--package", "ordinary.shop").status == 0
    made = {name: content.replace(b"shop.json", b"shop.yaml") for name, content in tree(tmp_path / "out").items()}
    assert made == {f"ordinary/shop/{name}": content for name, content in tree(packages / "ordinary/shop").items()}


def test_mypy_and_the_examples_of_a_user(packages: Path) -> None:
    """The packages are strictly typed, and so is a program that uses them."""
    user = packages / "user.py"
    user.write_text(USER)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file=",
            f"--cache-dir={MYPY_CACHE}",
            "--explicit-package-bases",
            ".",
        ],
        cwd=packages,
        capture_output=True,
        text=True,
        check=False,
    )
    wrong = re.findall(r"^(\S+): error: (.*?)  \[([a-z-]+)\]$", done.stdout, re.MULTILINE)
    assert [(place, code) for place, _, code in wrong] == [("user.py:9", "arg-type"), ("user.py:10", "call-arg")]
    assert "Found 2 errors in 1 file" in done.stdout
    assert "2-headed calf" in wrong[0][1]
    assert "kind" in wrong[1][1]


USER = """
from ordinary.farm import AsyncClient, Client, Dog


async def use(client: Client, other: AsyncClient) -> list[str | None]:
    dog: Dog = client.animals.add_animal(name="Rex", kind="dog", stall={"number": 3})
    photo: bytes = await other.animals.get_photo(9)
    client.animals.set_photo(9, body=photo)
    client.animals.list_animals(kind="horse")
    client.animals.add_animal(name="Rex")
    return [animal.name for animal in dog.children]
"""
