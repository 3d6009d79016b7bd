"""Start a program and write what it used to a file descriptor: `launcher.py FD PROGRAM ARG…`.

A process of its own, and a small one: on Linux the peak memory of a child begins with that of its parent.
"""

import os
import sys


def main() -> None:
    answer = int(sys.argv[1])
    os.set_inheritable(answer, False)
    pid = os.fork()
    if pid == 0:
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606
    _, status, usage = os.wait4(pid, 0)
    used = f"{os.waitstatus_to_exitcode(status)} {usage.ru_utime + usage.ru_stime:.6f} {usage.ru_maxrss}"
    os.write(answer, used.encode())


main()
