"""A name server that knows every name and writes each question down: `python -m tests.support.name_server FILE DEVICE`.

It answers with an address that leads nowhere (RFC 5737), and writes down what is sent out through the device, too, so
that an address without a name is seen as well. A line each: `name NAME` or `address ADDRESS`.
"""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path
from typing import TextIO

PORT = 53
_IPV4 = 0x0800
_A = 1
_NOWHERE = socket.inet_aton("203.0.113.7")
# An answer without an error, recursion available; the name of the answer is that of the question, at byte 12.
_FLAGS = b"\x81\x80"
_SAME_NAME = b"\xc0\x0c"
_A_MINUTE = (60).to_bytes(4, "big")


def question(packet: bytes) -> tuple[str, int, bytes]:
    """The name, the type and the bytes of the first question of a packet (RFC 1035, 4.1.2)."""
    at, labels = 12, []
    while size := packet[at]:
        labels.append(packet[at + 1 : at + 1 + size].decode(errors="replace"))
        at += 1 + size
    return ".".join(labels), int.from_bytes(packet[at + 1 : at + 3], "big"), packet[12 : at + 5]


def answer(packet: bytes) -> bytes:
    """One address for a question of type A, no record for any other."""
    _, kind, asked = question(packet)
    count = int(kind == _A).to_bytes(2, "big")
    head = packet[:2] + _FLAGS + b"\0\1" + count + b"\0\0\0\0" + asked
    if kind != _A:
        return head
    return head + _SAME_NAME + b"\0\1\0\1" + _A_MINUTE + len(_NOWHERE).to_bytes(2, "big") + _NOWHERE


def _watch(device: str, out: TextIO) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4)) as wire:
        wire.bind((device, _IPV4))
        while True:
            packet = wire.recv(65_535)
            print("address", socket.inet_ntoa(packet[16:20]), file=out, flush=True)


def main(file: str, device: str) -> None:
    """Serves until it is ended."""
    with Path(file).open("w") as out, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", PORT))
        threading.Thread(target=_watch, args=(device, out), daemon=True).start()
        print("ready", file=out, flush=True)
        while True:
            packet, asker = server.recvfrom(4096)
            print("name", question(packet)[0], file=out, flush=True)
            server.sendto(answer(packet), asker)


if __name__ == "__main__":
    main(*sys.argv[1:])
