"""Other programs, one after the other: signals reach them, their output goes into a file, and no two
commands work in one folder.
"""

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import threading


class SignalError(Exception):
    """A signal ended the work; what was done is saved. `number` is the signal's."""

    def __init__(self, number):
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


def call(command, output, lock=None):
    """Runs a command to its end.

    SIGINT (Ctrl-C) and SIGTERM are handed on as SIGINT, which lets trainings save; a second one as
    well. Then, when it has ended, `SignalError` is raised.

    Args:
        command: list of strings.
        output: file that its output is appended to.
        lock: of `locked`; the process holds it, too.

    Returns:
        `(exit code, what it said last)`: the last line that begins with "error:", or that has
        anything in it.
    """
    with open(output, "ab") as file, _signals() as received:
        file.write(f"$ {shlex.join(command)}\n".encode())
        file.flush()
        start = file.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches it through us only, and once
            pass_fds=() if lock is None else (lock,),
        )
        code = _wait(process, received)
    if received:
        raise SignalError(received[-1])
    return code, _last_words(output, start)


@contextlib.contextmanager
def _signals():
    """Yields the list of SIGINT and SIGTERM that arrive while inside; they do nothing else."""
    received = []
    if threading.current_thread() is not threading.main_thread():  # signals do not come here
        yield received
        return

    def handle(number, frame):
        received.append(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(process, received):
    """The exit code of the process; what is `received` until then, or was before it began, is handed on as SIGINT."""
    handed_on = 0
    while True:
        for _ in received[handed_on:]:
            process.send_signal(signal.SIGINT)  # does nothing to a process that has ended
            handed_on += 1
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=0.1)


def _last_words(path, start):
    with open(path, "rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").replace("\r", "\n").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    errors = [line for line in lines if line.startswith("error:")]
    return (errors or lines or [""])[-1]


@contextlib.contextmanager
def locked(folder, wait=False):
    """Keeps a second command out of `folder` while inside, and as long as a process runs that
    `call` gave the lock to, even where this one was killed.

    Args:
        folder: made where it is not there.
        wait: whether to wait for a command that is inside, for short work; or else to raise.

    Yields:
        the lock, for `call`.

    Raises:
        BlockingIOError: the folder is in use.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, ".lock")
    handle = _lock(path, wait)
    try:
        yield handle
        os.remove(path)
    finally:
        os.close(handle)


def _lock(path, wait):
    """The locked file of that path, a new one where there is none."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            os.close(handle)
            folder = os.path.dirname(path)
            raise BlockingIOError(
                f"Another command, or a training it began, still works in {folder}. Wait for it "
                f"or end it (it saves what it has). Received: {folder}"
            ) from error
        if _is_there(path, handle):
            return handle
        os.close(handle)  # of a file that who had it before has just removed


def _is_there(path, handle):
    """Whether the open file is that of the path."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(handle))
    return False
