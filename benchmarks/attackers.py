"""Bad clients in a process of their own: `python -m benchmarks.attackers HOST PORT [CA_FILE]`; ends with its input."""

import ssl
import sys

from tests.e2e.clients import Door, attack


def main() -> None:
    host, port, *ca_file = sys.argv[1:]
    context = ssl.create_default_context(cafile=ca_file[0]) if ca_file else None
    headers = {"Authorization": sys.stdin.readline().strip()} if ca_file else {}
    with attack(Door(host, int(port), context, headers)) as crowds:
        print("attacking", flush=True)
        sys.stdin.read()
        for kind, crowd in crowds.items():
            print(f"{kind}: {crowd.opened} opened, {crowd.turned_away} turned away", flush=True)


if __name__ == "__main__":
    main()
