"""Says one thing in Cline's last conversation, which it continues in a terminal only, and ends when the answer is there.

Usage: clineTerminal.py CLINE HOME TEXT. An interrupt is the key by which a person stops it.
"""

import fcntl
import glob
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

cline, home, text = sys.argv[1:]
sessions = os.path.join(home, ".cline/data/sessions")
(file,) = glob.glob(f"{sessions}/*/*.messages.json")
session = os.path.basename(file).removesuffix(".messages.json")


def messages():
    try:
        with open(file, encoding="utf-8") as opened:
            return json.load(opened)["messages"]
    except ValueError:
        return []


def is_answered(before):
    now = messages()
    if len(now) <= before or now[-1]["role"] != "assistant":
        return False
    return not any(part["type"] == "tool_use" for part in now[-1]["content"])


before = len(messages())
pid, terminal = pty.fork()
if pid == 0:
    os.execv(cline, [cline, "--id", session])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
interrupts = []
signal.signal(signal.SIGINT, lambda *_: interrupts.append(time.monotonic()))
output, is_said, ended = b"", False, None
while True:
    ready, _, _ = select.select([terminal], [], [], 0.3)
    if ready:
        try:
            output += os.read(terminal, 65536)
        except OSError:
            break
    if not is_said and b"Ask anything" in output:
        time.sleep(3)
        os.write(terminal, text.encode())
        time.sleep(1)
        os.write(terminal, b"\r")
        is_said = True
    if interrupts and ended is None:
        os.write(terminal, b"\x1b")
        ended = time.monotonic()
    if ended is None and is_said and is_answered(before):
        ended = time.monotonic()
    if ended is not None and time.monotonic() - ended > 2:
        break
os.kill(pid, signal.SIGKILL)
