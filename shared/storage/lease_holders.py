"""Who holds a lease: names that tell, on the same machine, whether their process still lives.

A lease of a dead process runs out by itself. Where the successor runs on the same machine (a
supervisor started it again), it need not wait for that: the name says which process it was, and
the kernel that it is gone. A name from another machine or container says nothing, and is waited
for.
"""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

import psutil

LONGEST = 120
"""Characters that a holder's column takes."""


def this_process() -> str:
    """A name for this process and no other, a later one of the same machine included."""
    return f"{_room()}:{os.getpid()}:{secrets.token_hex(4)}"[-LONGEST:]


def is_dead(holder: str) -> bool:
    """Whether the process of that name is known to be gone; False where it cannot be known."""
    room, _, rest = holder.partition(":")
    number, _, token = rest.partition(":")
    if room != _room() or "/" not in room or not number.isascii() or not number.isdigit():
        return False
    if not token:
        return False
    # A process with this one's number is this one's predecessor: the number was given anew.
    return int(number) == os.getpid() or not psutil.pid_exists(int(number))


def _room() -> str:
    """The machine and the space of process numbers: containers may share a host's name."""
    try:
        space = os.readlink("/proc/self/ns/pid")
        started = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()[:60].replace(":", "-")
    numbers = "".join(filter(str.isdigit, space))
    return f"{socket.gethostname()[:40].replace(':', '-')}/{numbers}/{started[:8]}"
