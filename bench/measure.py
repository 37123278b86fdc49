"""Runs one command and says what it took. One JSON document as the only argument, one on standard output.

In:  argv, env, cwd, timeout (s), core (int or null: the only core it may use), cgroup (a folder to join, or null),
     stdout (file), stderr (file), kill (null, or {"folder", "bytes"}: SIGKILL once so much is on disk below folder).
Out: wall (s), user, sys (s, of the process and all it waited for: wait4), maxrss (bytes, largest single process: wait4),
     anon (bytes, RssAnon summed over the tree, sampled), samples, status, killed.
"""

import json
import os
import signal
import sys
import threading
import time

INTERVAL = 0.02


def tree(pid):
    """The process and its living descendants."""
    found = [pid]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children") as file:
                    found.extend(int(word) for word in file.read().split())
        except OSError:
            pass
    return found


def anonymous(pid):
    """RssAnon of the tree, in bytes."""
    total = 0
    for one in tree(pid):
        try:
            with open(f"/proc/{one}/status") as file:
                for line in file:
                    if line.startswith("RssAnon:"):
                        total += int(line.split()[1]) * 1024
                        break
        except OSError:
            pass
    return total


def on_disk(folder):
    """Bytes that files below `folder` really occupy: part files may be as long as the whole from the start."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except OSError:
                pass
    return total


def start(spec):
    """Forks and becomes the command in the child, in a process group of its own."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        if spec["cgroup"]:
            with open(os.path.join(spec["cgroup"], "cgroup.procs"), "w") as file:
                file.write("0")
        if spec["core"] is not None:
            os.sched_setaffinity(0, {spec["core"]})
        os.chdir(spec["cwd"])
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(os.open(spec["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 1)
        os.dup2(os.open(spec["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])
    except BaseException as error:  # whatever it was, this process must not go on as a second wrapper
        os.write(2, f"{spec['argv'][0]}: {error}\n".encode())
        os._exit(127)


def watch(pid, spec, ended, seen):
    """Samples memory; ends the group when the time is up or the bytes are there."""
    deadline = time.monotonic() + spec["timeout"]
    parent = os.getppid()
    while not ended.wait(INTERVAL):
        seen["anon"] = max(seen["anon"], anonymous(pid))
        seen["samples"] += 1
        kill = spec["kill"]
        late = time.monotonic() > deadline
        alone = os.getppid() != parent  # whoever asked is gone: nobody else would end the command
        if late or alone or (kill and on_disk(kill["folder"]) >= kill["bytes"]):
            seen["killed"] = "timeout" if late else "bytes"
            os.killpg(pid, signal.SIGKILL)
            return


def main():
    spec = json.loads(sys.argv[1])
    seen = {"anon": 0, "samples": 0, "killed": None}
    ended = threading.Event()
    begun = time.monotonic()
    pid = start(spec)
    others = os.sched_getaffinity(0) - {spec["core"]}
    if others:  # the sampling is not to be paid by a client that has one core
        os.sched_setaffinity(0, others)
    watcher = threading.Thread(target=watch, args=(pid, spec, ended, seen))
    watcher.start()
    _, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - begun
    ended.set()
    watcher.join()
    try:  # what it left running would spoil the next measurement
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    print(json.dumps({
        "wall": wall, "user": usage.ru_utime, "sys": usage.ru_stime, "maxrss": usage.ru_maxrss * 1024,
        "status": os.waitstatus_to_exitcode(status), **seen,
    }))


main()
