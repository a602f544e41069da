"""Other programs: their last words, signals, and the lock that outlives whoever took it."""

import concurrent.futures
import contextlib
import os
import signal
import sys
import threading
import time

import pytest

from keras_uai.experiment import processes

WAITS = """
import signal, sys, time
def stop(number, frame):
    print("saved", flush=True)
    sys.exit(7)
signal.signal(signal.SIGINT, stop)
print("ready", flush=True)
time.sleep(60)
"""


def call(code, path, lock=None):
    return processes.call([sys.executable, "-c", code], path, lock)


def test_exit_code_and_last_words(tmp_path):
    path = tmp_path / "output.txt"
    assert call("print('one'); print('two')", path) == (0, "two")
    code = "import sys; print('error: bad'); print('more', file=sys.stderr); sys.exit(3)"
    assert call(code, path) == (3, "error: bad")
    text = path.read_text()
    assert "one\ntwo\n$ " in text  # both, each after its command
    assert call("", path) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_program_as_one_that_lets_it_save(tmp_path, number):
    path = tmp_path / "output.txt"

    def send():
        while not path.exists() or "ready" not in path.read_text().splitlines():
            pass
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(processes.SignalError) as raised:
        call(WAITS, path)
    thread.join()
    assert raised.value.number == number
    assert path.read_text().endswith("saved\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_comes_before_the_program_has_begun_ends_it(tmp_path, monkeypatch):
    """It is neither lost nor does it leave the program running without us."""
    begin, begun = processes.subprocess.Popen, []

    def interrupted(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)
        begun.append(begin(*args, **kwargs))
        return begun[0]

    monkeypatch.setattr(processes.subprocess, "Popen", interrupted)
    with pytest.raises(processes.SignalError):
        call("import time; time.sleep(60)", tmp_path / "output.txt")
    assert begun[0].returncode != 0


def test_one_command_a_folder(tmp_path):
    with (
        processes.locked(tmp_path),
        pytest.raises(BlockingIOError, match="still works in"),
        processes.locked(tmp_path),
    ):
        pass
    with processes.locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_commands_that_wait_come_one_after_the_other(tmp_path):
    """Each removes the file that the others wait for."""
    inside, most = [], []

    def work(number):
        with processes.locked(tmp_path, wait=True):
            inside.append(number)
            time.sleep(0.005)
            most.append(len(inside))
            inside.remove(number)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert most == [1] * 40


def test_a_program_holds_the_lock_of_a_command_that_was_killed(tmp_path):
    """`call` hands it on: it is free when both are gone, and not before."""
    with contextlib.suppress(SystemExit), processes.locked(tmp_path) as lock:
        code = f"import fcntl; fcntl.flock({lock}, fcntl.LOCK_EX | fcntl.LOCK_NB); print('held')"
        assert call(code, tmp_path / "output.txt", lock) == (0, "held")
        other = os.dup(lock)  # what the program has after the command is gone
        raise SystemExit
    try:
        with pytest.raises(BlockingIOError), processes.locked(tmp_path):
            pass
    finally:
        os.close(other)
    with processes.locked(tmp_path):
        pass
