"""Call the endpoint that CONTRIBUTING.md adds, which the sandbox has no handler for, and print the answers."""

import httpx

from connectycube.rest import ConnectyCube
from connectycube.sandbox import Sandbox

PATH = "/whiteboards/66f1b7d4e4b0d93a51c8e601/viewers"


def main() -> None:
    with Sandbox() as sandbox, httpx.Client(base_url=sandbox.api_url) as http:
        with ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as cube:
            token = cube.login(login="mary", password="correct-horse-9", create=True).token
        headers = {"CB-Token": str(token)}
        print("no session:", http.get(PATH).status_code)
        print("wrong limit:", http.get(PATH, params={"limit": "many"}, headers=headers).status_code)
        found = http.get(PATH, headers=headers)
        shown = f"{len(found.json()['items'])} entries" if found.is_success else found.text
        print(found.status_code, found.headers.get("X-Sandbox"), shown)
        seen = [one for one in sandbox.journal.exchanges() if one.path.startswith(PATH)]
        print(", ".join(f"{one.operation} {one.status} {one.example}" for one in seen))


if __name__ == "__main__":
    main()
