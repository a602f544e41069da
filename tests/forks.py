"""Commands in forks of one process that has imported everything, which takes seconds.

    done = run(ROOT / "tools/inpaint", "--model=...", cwd=folder)
    done = run("-c", "print(1)", backend="jax")

There is a process for each backend. It is made for the first command, and ends with the tests. That
of JAX is as if neither TensorFlow nor what comes with it were installed, and compiles in haste: the
numbers are the same to rounding.
"""

import atexit
import functools
import json
import os
import pathlib
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIMEOUT = 600

#: What an environment without TensorFlow lacks.
TENSORFLOW_MODULES = [
    "tensorflow", "tensorflow_datasets", "tensorflow_gan", "tensorflow_hub", "tensorflow_probability",
    "tensorflow_serving", "tensorboard", "tf_keras", "importlib_resources", "grpc",
]  # fmt: skip
_HASTE = {
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}


def run(program, *arguments, **options):
    """Runs `python PROGRAM ARGUMENTS` to its end; `options` are those of `Command`.

    Returns:
        `subprocess.CompletedProcess`, with what was printed as text.
    """
    command = Command(program, *arguments, **options)
    code = command.wait()
    return subprocess.CompletedProcess(command.argv, code, *command.said())


class Command:
    """A running command, as `subprocess.Popen` has it.

    Args:
        program: path of a file, the name of a module, or "-c" before Python code.
        cwd: its working folder.
        backend: the Keras backend.
        environment: further variables; those of JAX are read before.
    """

    def __init__(self, program, *arguments, cwd=ROOT, backend="tensorflow", environment=()):
        self.argv = [str(program), *map(os.fsdecode, arguments)]
        self._folder = tempfile.TemporaryDirectory()
        self._files = {n: os.path.join(self._folder.name, n) for n in ("code", "out", "err")}
        given = {"argv": self.argv, "cwd": str(cwd), "environment": dict(environment)}
        server = _server(backend)
        server.stdin.write(json.dumps({**given, "files": self._files}) + "\n")
        server.stdin.flush()
        self.pid = int(server.stdout.readline())

    def poll(self):
        """Returns the exit code, or None while it runs."""
        try:
            with open(self._files["code"], encoding="utf-8") as file:
                return int(file.read())
        except FileNotFoundError:
            return None

    def wait(self, timeout=TIMEOUT):
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                self.kill()
                raise subprocess.TimeoutExpired(self.argv, timeout, *self.said())
            time.sleep(0.02)
        return code

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def said(self):
        """Returns what it has printed so far: `(standard output, errors)`."""
        return tuple(
            pathlib.Path(self._files[n]).read_text("utf-8", "backslashreplace")
            for n in ("out", "err")
        )


# -- the process ----------------------------------------------------------------------------------


@functools.cache
def _server(backend):
    cache = tempfile.TemporaryDirectory()
    environment = {**os.environ, **_HASTE, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    environment["JAX_COMPILATION_CACHE_DIR"] = cache.name
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forks"], cwd=ROOT, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    server.cache = cache  # until the tests end
    atexit.register(server.communicate)  # it ends where nothing comes any more
    return server


def _serve():
    """Reads a command a line, answers with its process's number, and writes its exit code."""
    if os.environ["KERAS_BACKEND"] == "jax":
        sys.modules.update(dict.fromkeys(TENSORFLOW_MODULES))
    import keras_uai.cli.main
    import keras_uai.metrics.commands
    import keras_uai.training.runner  # noqa: F401

    files = {}
    while True:
        if select.select([sys.stdin], [], [], 0.02 if files else None)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            given = json.loads(line)
            pid = os.fork()
            if not pid:
                _become(given)
            files[pid] = given["files"]["code"]
            print(pid, flush=True)
        while files and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            path = files.pop(ended[0])
            with open(f"{path}.draft", "w", encoding="utf-8") as file:
                file.write(str(os.waitstatus_to_exitcode(ended[1])))
            os.replace(f"{path}.draft", path)


def _become(given):
    """Is the command, in a fork, and ends it."""
    code = 1
    try:
        os.chdir(given["cwd"])
        os.environ.update(given["environment"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(given["files"][name], os.O_WRONLY | os.O_CREAT), number)
        sys.argv = given["argv"]
        program = sys.argv[0]
        if program == "-c":
            exec(compile(sys.argv.pop(), "<code>", "exec"), {"__name__": "__main__"})
        elif os.sep in program:
            sys.path.insert(0, os.path.dirname(program))
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # at once: the interpreter's own end takes another second


if __name__ == "__main__":
    _serve()
