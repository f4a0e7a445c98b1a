"""A child process whose anonymous memory is watched, and limited by the system too.

It imports vicino and warms up, then takes its resident anonymous memory and its data size as the baseline. RLIMIT_DATA is set to the
baseline plus the limit plus what Python itself needs for the input, and a thread samples RssAnon all the while.
"""

from __future__ import annotations

from typing import Any

from tests.processes.child import Child

MB = 10**6
LIMITED = """
import resource
from vicino.errors import MemoryLimitError
LIMIT, SLACK = args["limit"], args.get("slack", 6 << 20)
def status(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) * 1024
def warm_up():  # imports, and what is allocated once, count for nobody
    with vicino.open() as db:
        docs = db.create_collection("warm", dim=8)
        docs.upsert([{"id": n, "vector": [n] * 8, "text": "a b c", "n": n} for n in range(300)])
        docs.create_index("n").wait()
        docs.optimize()
        docs.search([1] * 8, where="n > 3")
        docs.update([1], set={"n": 5})
        docs.delete([2])
        docs.export(path + ".warm.jsonl")
threading.stack_size(1 << 20)  # the system counts the whole stack of a thread as data, though hardly any of it is ever touched
warm_up()
chance = np.random.default_rng(7)
class Peak(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.base, self.peak, self.over = status("RssAnon"), 0, False
    def run(self):
        while not self.over:
            self.peak = max(self.peak, status("RssAnon") - self.base)
            time.sleep(0.002)
def vectors(n, dim, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)
peak = Peak()
peak.start()
if args.get("rlimit", True):
    data = status("VmData") + LIMIT + SLACK + (8 << 20)  # 8 MiB: the stack of one more thread, reserved and never touched
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
def refusal(call):  # None when it is not refused
    try:
        call()
    except MemoryLimitError as error:
        return {"needed": error.needed, "available": error.available, "message": str(error)}
def finish(**facts):
    peak.over = True
    peak.join()
    say({"peak": peak.peak, "allowed": LIMIT + SLACK, **facts})
"""


def limited(path: Any, source: str, **args: Any) -> dict[str, Any]:
    """What the child says at its end; its memory was below the limit all the while."""
    with Child(path, LIMITED + source, **args) as child:
        facts = child.hear()
        child.end()
    assert facts["peak"] <= facts["allowed"], facts
    return facts
