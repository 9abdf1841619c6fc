"""Guard of the Lava worker: makes sure that no process and no shared memory of the worker is left.

The first process of the worker is the guard: it forks the process that runs Lava and ends the whole group when the Lava
process ends or the parent is gone. Within the Lava process a thread watches Lava's children, because Lava itself waits for
ever for a child that died.
"""

import contextlib
import ctypes
import multiprocessing
import os
import select
import shutil
import signal
import threading
import time
from multiprocessing import shared_memory

POLL_S = 0.05
GRACE_S = 2.0
"""Time between SIGTERM and SIGKILL; the resource tracker needs about 0.5 s of it to unlink shared memory."""
MESSAGE_MAX = 500
"""Number of characters of an error message that are kept; Lava's messages may contain whole arrays."""
_PR_SET_CHILD_SUBREAPER = 36
_guard = 0  # the guard's process number, known to the process that it forks


def run_guarded(work, folder, parent):
    """Run ``work()`` in a child process, end the whole group when it ends or standard input closes, and exit.

    The folder of the job belongs to the parent; it is removed here only if the parent has died, maybe before we began.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _adopt_orphans()
    global _guard
    _guard = os.getpid()
    worker = os.fork()
    if worker == 0:
        work()
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    status = _wait(worker)
    os.killpg(0, signal.SIGTERM)
    ended = _reap_all(GRACE_S)
    if os.getppid() != parent:
        shutil.rmtree(folder, ignore_errors=True)
    if not ended:
        os.killpg(0, signal.SIGKILL)
    os._exit(0 if status == 0 else 1)


def keep_together(prefix):
    """Make this process and its children use ``prefix`` for shared memory and semaphores, the current folder for sockets.

    The parent can then remove what a killed worker left. Python has no public way to choose any of them. The path of the
    folder stays relative, because the path of a socket may have only 107 characters.
    """
    shared_memory._SHM_NAME_PREFIX = "/" + prefix
    shared_memory._SHM_SAFE_NAME_LENGTH = len(prefix) + 13
    multiprocessing.current_process()._config.update(semprefix="/" + prefix, tempdir=".")


class ChildWatch:
    """A thread that calls ``report(message)`` and ends this process when one of ``children()`` ends before ``stop``.

    The thread starts before Lava starts its children, since Lava waits for ever for a child that dies during the build.
    """

    def __init__(self, children, report):
        self._report = report
        self._stopped = threading.Event()
        self._children = children
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self):
        """Stop watching: from now on children may end."""
        self._stopped.set()

    def _run(self):
        while not self._stopped.wait(POLL_S):
            if os.getppid() != _guard:
                os.killpg(0, signal.SIGTERM)
            for child in self._children():
                message = _ending(child)
                if message and not self._stopped.is_set():
                    self._report(message)
                    os._exit(1)


def _ending(child):
    """Return why a child process ended, or None while it runs."""
    try:
        failure = child.exception  # Lava's children send what they raised, with its traceback
    except Exception as error:  # an exception of any class may fail to be unpickled in any way
        return f"Lava process {child.pid} raised what cannot be read ({type(error).__name__})"
    if failure:
        return in_words(*failure)
    return None if child.exitcode is None else f"Lava process {child.pid} {_code_in_words(child.exitcode)}"


def in_words(error, text):
    """Return an error in one line, with the last place in the text of its traceback."""
    said = " ".join(str(error).split())
    if len(said) > MESSAGE_MAX:
        said = said[:MESSAGE_MAX] + " ..."
    return f"{type(error).__name__}: {said} ({_last_place(text)})"


def _code_in_words(code):
    """Return in words how a process ended, from its exit code or negative signal number."""
    if code >= 0:
        return f"ended early with exit code {code}"
    hints = {signal.SIGBUS: " (is /dev/shm full?)", signal.SIGKILL: " (is memory short?)"}
    return f"was ended by {signal.Signals(-code).name}{hints.get(-code, '')}"


def _last_place(text):
    places = [line.strip() for line in text.splitlines() if line.strip().startswith("File ")]
    return places[-1] if places else "place unknown"


def _wait(worker):
    """Return the status of the worker, or 1 when standard input closes first."""
    while True:
        pid, status = os.waitpid(worker, os.WNOHANG)
        if pid:
            return status
        ready, _, _ = select.select([0], [], [], POLL_S)
        if ready and not os.read(0, 1):
            return 1


def _reap_all(seconds):
    """Wait for all descendants to end; return whether they did within the time."""
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
    except ChildProcessError:
        return True
    return False


def _adopt_orphans():
    """Become the parent of every descendant whose parent dies, so that this process can wait for its end (Linux)."""
    with contextlib.suppress(AttributeError, OSError):  # on other systems the parent's check of the group must suffice
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
