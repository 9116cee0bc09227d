"""Terminals for tests: `forkline debug` as a program, and a plain client of the port."""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import time

import harness

PROMPT = "(fdb) "


class Talk:
    """A conversation by two descriptors; each wait has a limit."""

    def __init__(self, output: int) -> None:
        self.output = output
        self.text = ""
        self.is_over = False

    def send(self, text: str | bytes) -> None:
        raise NotImplementedError

    def read_until(self, part: str, timeout: float = 40.0) -> str:
        """All text up to and with this part, or to the end if `part` is empty."""
        deadline = time.monotonic() + timeout
        while not (part and part in self.text):
            left = deadline - time.monotonic()
            assert left > 0, f"{part!r} did not come; so far:\n{self.text}"
            if self.is_over:
                assert not part, f"the end came before {part!r}:\n{self.text}"
                break
            if select.select([self.output], [], [], left)[0]:
                try:
                    data = os.read(self.output, 4096)
                except ConnectionError:
                    data = b""
                self.is_over = not data
                self.text += data.decode(errors="replace")
        end = self.text.index(part) + len(part) if part else len(self.text)
        found, self.text = self.text[:end], self.text[end:]
        return found

    def prompt(self) -> str:
        return self.read_until(PROMPT).removesuffix(PROMPT)

    def do(self, command: str) -> str:
        """What a command answers; one that lets the cell go on answers when it stands still again."""
        self.send(command + "\n")
        return self.prompt()

    def rest(self) -> str:
        return self.read_until("")


class Program(Talk):
    """`forkline debug --attach` for a kernel."""

    def __init__(self, kernel: harness.Client, name: str | None = None) -> None:
        program = kernel.process.spec.argv[0]
        self.process = subprocess.Popen(
            [program, "debug", "--attach", name or str(kernel.process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self.process.stdin and self.process.stdout
        super().__init__(self.process.stdout.fileno())
        # What a terminal lets stop belongs to no request of the client's.
        kernel.late_allowed = True

    def send(self, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def close(self) -> str:
        """Leaves, and returns what was said last."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        rest = self.rest()
        assert self.process.wait(20) == 0
        self.process.stdout.close()
        return rest


class Plain(Talk):
    """A client that knows nothing but a port."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        super().__init__(self.socket.fileno())

    def send(self, text: str | bytes) -> None:
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def close(self) -> None:
        self.socket.close()


def listen(kernel: harness.Client) -> tuple[int, str]:
    """Port and token of the door that `%debug --listen` opens."""
    said = kernel.run("%debug --listen").stdout
    kernel.late_allowed = True
    found = re.fullmatch(r"the debugger listens on 127\.0\.0\.1 port (\d+)\ntoken: (\w{32})\n", said)
    assert found, said
    return int(found[1]), found[2]
