"""What strangers do at a server's port, and what they see of it: for the tests of all that listens."""

from __future__ import annotations

import socket
import time


def rest_of(client: socket.socket) -> bytes:
    """What comes until the server closes; a connection that it reset brings no more."""
    parts = []
    try:
        while part := client.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def drip(client: socket.socket, seconds: float, limit: float) -> None:
    """Sends a byte each time that nothing has come for so many seconds, until the server closes or the limit is over."""
    client.settimeout(seconds)
    begun = time.monotonic()
    while time.monotonic() - begun < limit:
        try:
            client.send(b"x")
            if client.recv(1) == b"":
                break
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            break


def n_closed(clients: list[socket.socket], patience: float) -> int:
    """How many of them the server has closed; it is waited so many seconds for each."""
    closed = 0
    for client in clients:
        client.settimeout(patience)
        try:
            closed += client.recv(1) == b""
        except TimeoutError:
            pass
        except ConnectionResetError:
            closed += 1
    return closed
