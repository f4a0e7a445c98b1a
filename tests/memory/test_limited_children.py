"""`memory_limit=` in a process whose data the system limits too: below it all is well, beyond it a MemoryLimitError says by how much.

A child imports vicino and warms up, then takes its resident anonymous memory and its data size as the baseline. RLIMIT_DATA is set to the
baseline plus the limit plus what Python itself needs for the input, and a thread samples RssAnon all the while.
"""

from __future__ import annotations

from typing import Any

from tests.processes.child import Child

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


MB = 10**6
MANY = """
with vicino.open(path, memory_limit=LIMIT) as db:
    docs = db.create_collection("docs", dim=384)
    n = args["n"]
    for start in range(0, n, 1000):
        ids = list(range(start, start + 1000))
        docs.upsert(ids=ids, vectors=vectors(1000, 384, start), fields=[{"n": i, "text": "some words to keep"} for i in ids])
    found = [docs.search(vectors(1000, 384, start)[7], limit=1)[0].id for start in range(0, n, 5000)]
    count, used = docs.count(), db.stats().memory_bytes
with vicino.open(path, memory_limit=LIMIT) as db:
    again = db["docs"].count()
finish(count=count, again=again, found=found, used=used)
"""


def test_32_mb_take_200_mb_of_vectors(tmp_path):
    n = 130_000
    facts = limited(tmp_path / "data", MANY, limit=32 * MB, n=n)
    assert (facts["count"], facts["again"]) == (n, n)
    assert facts["used"] < 32 * MB
    assert facts["found"] == [start + 7 for start in range(0, n, 5000)]
