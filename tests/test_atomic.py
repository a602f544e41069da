import errno
import os
import signal
import socket
import stat
import subprocess
import sys

import pytest

from keras_uai import atomic, files


@pytest.mark.parametrize("write", [b"new", "new", lambda file: file.write(b"new")])
def test_a_file_appears_whole(tmp_path, write):
    path = tmp_path / "a" / "b.bin"
    files.atomic_write(path, write)
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["b.bin"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_a_failed_write_changes_nothing(tmp_path):
    path = tmp_path / "b.bin"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        files.atomic_write(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["b.bin"]


def test_the_temporary_path_keeps_the_extension(tmp_path):
    with files.atomic_path(tmp_path / "model.keras") as temporary:
        assert temporary.endswith(".keras")
        assert not os.path.exists(temporary)
        open(temporary, "w").close()
    assert os.listdir(tmp_path) == ["model.keras"]


def test_json(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": [1, "ä"]})
    assert files.read_json(tmp_path / "a.json") == {"b": [1, "ä"]}


def test_folders_appear_whole(tmp_path):
    path = tmp_path / "out"
    for text in ("one", "two"):
        with files.atomic_folder(path) as folder:
            files.atomic_write(os.path.join(folder, "x"), text)
    assert (path / "x").read_text() == "two"

    def fail():
        with files.atomic_folder(path) as folder:
            files.atomic_write(os.path.join(folder, "x"), "three")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        fail()
    assert (path / "x").read_text() == "two"
    assert os.listdir(tmp_path) == ["out"]


def test_a_disk_that_is_full_when_it_is_brought_there(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "b.bin").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.atomic_write(tmp_path / "b.bin", b"new")
    assert (tmp_path / "b.bin").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["b.bin"]


_LOAD = """
import importlib.util, os, signal, sys

spec = importlib.util.spec_from_file_location("atomic", sys.argv[1])
atomic = importlib.util.module_from_spec(spec)
spec.loader.exec_module(atomic)
"""


def test_drafts_of_killed_processes_are_removed_by_the_next_one(tmp_path):
    """Of this machine. A folder that was being replaced may be the only copy, and is kept."""
    program = """
def killed(*given):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "file":
    atomic.atomic_write("b.bin", killed)
with atomic.atomic_folder("out") as draft:
    if sys.argv[2] == "folder":
        killed()
    rename = os.rename
    os.rename = lambda *names: (rename(*names), killed())
"""

    def run(kind):
        command = [sys.executable, "-c", _LOAD + program, atomic.__file__, kind]
        assert subprocess.run(command, cwd=tmp_path, check=False).returncode == -signal.SIGKILL

    machine = f".{socket.gethostname()}-"
    others = [f"{machine}{os.getpid()}-1-b.bin", ".elsewhere-1-1-b.bin", ".mine"]
    for name in others:
        (tmp_path / name).touch()
    for kind, drafts in (("file", 1), ("folder", 1), ("replaced", 1), ("file", 2)):
        os.makedirs(tmp_path / "out", exist_ok=True)
        run(kind)
        left = set(os.listdir(tmp_path)) - {*others, "out"}
        assert len(left) == drafts, left
    files.atomic_write(tmp_path / "b.bin", b"")
    (kept,) = set(os.listdir(tmp_path)) - {*others, "out", "b.bin"}
    assert os.listdir(tmp_path / kept) == ["new", "old"]


_KILLED = (
    _LOAD
    + """
calls = ("open", "write", "fsync", "close", "mkdir", "rename", "replace", "unlink", "rmdir")
originals = {name: getattr(os, name) for name in calls}


def write(name, content):
    if name == "file":
        atomic.atomic_write(name, content)
    else:
        with atomic.atomic_folder(name) as folder:
            for part in "ab":
                atomic.atomic_write(os.path.join(folder, part), content)


def killed_before(number, name):
    left = iter(range(number))

    def counted(call):
        def counting(*args, **kwargs):
            if next(left, None) is None:
                originals["write"](1, b"killed\\n")
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return counting

    for call, original in originals.items():
        setattr(os, call, counted(original))
    write(name, "new")


for name in ("file", "folder"):
    number, code = 0, 9
    while code:
        if name == "file":
            write(name, "old")
        pid = os.fork()
        if not pid:
            killed_before(number, name)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        found = []
        for path in [name] if name == "file" else [f"folder/{part}" for part in "ab"]:
            if os.path.exists(path):
                with open(path) as file:
                    found.append(file.read())
        whole = [["old"], ["new"]] if name == "file" else [[], ["new", "new"]]
        assert found in whole, (name, number, found)
        if found == ["new", "new"] and code:
            os.rename("folder", f"folder{number}")
        number += 1
    print(name, number)
"""
)


def test_killed_before_each_call_of_the_system(tmp_path):
    """SIGKILL at any moment leaves the old or the new, whole; of a new folder, nothing or all."""
    command = [sys.executable, "-c", _KILLED, atomic.__file__]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    numbers = [line.split()[1] for line in done.stdout.splitlines() if line != "killed"]
    assert done.stdout.count("killed") == sum(map(int, numbers)) - 2
    assert done.stdout.count("killed") > 20
