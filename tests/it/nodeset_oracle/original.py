"""Runs the command line of an installed ClusterShell for many cases in one process.

A case is a line of JSON {"argv": [...], "stdin": "..."}; the answer is a line {"out": ..., "err": ..., "code": ...}.
Each case runs in a fork, so that none sees what another left behind.
"""
import io, json, os, sys, tempfile
import yaml
from ClusterShell.CLI.Nodeset import main

# The same YAML by libyaml: in Python it is most of the time that a case takes.
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def stream(number, mode):
    raw = io.FileIO(number, mode, closefd=False)
    raw = raw if mode == "r" else io.BufferedWriter(raw)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape")


def run(case, files):
    for number, file in enumerate(files):
        os.dup2(file.fileno(), number)
    sys.stdin, sys.stdout, sys.stderr = stream(0, "r"), stream(1, "w"), stream(2, "w")
    sys.argv = ["nodeset"] + case["argv"]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        sys.stderr.write("crash: %r\n" % error)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


for line in sys.stdin.buffer:
    case = json.loads(line)
    files = [tempfile.TemporaryFile() for _ in range(3)]
    files[0].write(case["stdin"].encode())
    files[0].seek(0)
    child = os.fork()
    if child == 0:
        run(case, files)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    texts = []
    for file in files[1:]:
        file.seek(0)
        texts.append(file.read().decode("utf-8", "replace"))
    answer = {"out": texts[0], "err": texts[1], "code": code}
    sys.__stdout__.write(json.dumps(answer) + "\n")
    sys.__stdout__.flush()
