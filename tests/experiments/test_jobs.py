"""Commands in processes of their own: their last words, and the signals that reach them."""

import os
import signal
import sys
import threading

import pytest

from experiments import jobs

WAITS = """
import signal, sys, time
def stop(number, frame):
    print("saved", flush=True)
    sys.exit(7)
signal.signal(signal.SIGINT, stop)
print("ready", flush=True)
time.sleep(60)
"""


def call(code, path):
    return jobs.call([sys.executable, "-c", code], path)


def test_exit_code_and_last_words(tmp_path):
    path = tmp_path / "output.txt"
    assert call("print('one'); print('two')", path) == (0, "two")
    code = "import sys; print('error: bad'); print('more', file=sys.stderr); sys.exit(3)"
    assert call(code, path) == (3, "error: bad")
    text = path.read_text()
    assert "one\ntwo\n$ " in text  # both, each after its command
    assert call("", path) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on_as_one_that_lets_it_save(tmp_path, number):
    path = tmp_path / "output.txt"

    def send():
        while not path.exists() or "ready" not in path.read_text().splitlines():
            pass
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(jobs.SignalError) as raised:
        call(WAITS, path)
    thread.join()
    assert raised.value.number == number
    assert path.read_text().endswith("saved\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_comes_before_the_command_has_begun_ends_it(tmp_path, monkeypatch):
    """It is not lost, and it does not leave the command running."""
    begin, begun = jobs.subprocess.Popen, []

    def interrupted(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)
        begun.append(begin(*args, **kwargs))
        return begun[0]

    monkeypatch.setattr(jobs.subprocess, "Popen", interrupted)
    with pytest.raises(jobs.SignalError):
        call("import time; time.sleep(60)", tmp_path / "output.txt")
    assert begun[0].returncode != 0
