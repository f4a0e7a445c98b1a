r"""Which runner embeds faster, and in how much memory: onnxruntime on a graph made from the weights, or numpy alone?

    .venv/bin/python benchmarks/embed/runners.py --texts ../shared/data/cranfield/corpus.jsonl.gz \
        --vectors ../shared/data/vectors-minilm/cranfield.docs.f16.npy --out benchmarks/results/embed-runners.json

It answers: texts a second in a batch and the processor time of one, milliseconds of one query, seconds to import and load, anonymous
memory, for 1 and 2 threads. Processor time is there because it changes less when others use the machine (see load_average). Each
measurement is a process of its own, runners take turns, and the median of the rounds counts. It does not answer how good the vectors are
(tests/unit/models/test_minilm.py compares them with published ones), nor how a graphics card would do. `--vectors` adds the mean cosine to
given vectors of the same texts, a float16 .npy in their order.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RUNNERS = ("onnx", "numpy")
THREADS = (1, 2)
N_QUERIES = 50


def read_texts(path: Path, n: int) -> tuple[list[str], list[int]]:
    """n texts spread evenly over the file, and their rows."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    rows = sorted({round(index * (len(documents) - 1) / max(n - 1, 1)) for index in range(n)})
    return [f"{documents[row]['title']} {documents[row]['text']}" for row in rows], rows


def memory_mb(field: str) -> float:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(f"{field}:"))


def measure(runner: str, threads: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run in a fresh process whose numpy was given `threads` threads from outside."""
    import numpy as np

    texts, rows = read_texts(options.texts, options.n)
    before_mb = memory_mb("RssAnon")
    started = time.perf_counter()
    if runner == "onnx":
        import onnxruntime  # noqa: F401
    import tokenizers  # noqa: F401

    imported = time.perf_counter()
    from vicino import models

    loading = time.perf_counter()
    model = models.load("minilm", runner=runner, threads=threads)  # pyright: ignore[reportArgumentType]
    loaded = time.perf_counter()
    loaded_mb = memory_mb("RssAnon")
    for warm_up in range(5):
        model.embed_query(f"warm up {warm_up}")
    queries = []
    for query in range(N_QUERIES):
        asked = time.perf_counter()
        model.embed_query(f"what similarity laws must be obeyed when building model {query} of heated aircraft")
        queries.append(1e3 * (time.perf_counter() - asked))
    asked, used = time.perf_counter(), time.process_time()
    vectors = model.embed_documents(texts)
    took, used = time.perf_counter() - asked, time.process_time() - used
    result = {
        "import_s": imported - started,
        "load_s": loaded - loading,
        "query_ms": statistics.median(queries),
        "texts_per_s": len(texts) / took,
        "processor_ms_per_text": 1e3 * used / len(texts),
        "loaded_mb": loaded_mb - before_mb,
        "after_batch_mb": memory_mb("RssAnon") - before_mb,
        "checksum": hashlib.sha256(np.round(vectors, 4).tobytes()).hexdigest()[:12],
    }
    if options.vectors is not None:
        given = np.load(options.vectors)[rows].astype(np.float32)
        result["mean_cosine"] = float(((vectors * given).sum(axis=1) / np.linalg.norm(given, axis=1)).mean())
    return result


def run_child(runner: str, threads: int, arguments: list[str]) -> dict[str, Any]:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, *arguments, "--child", runner, str(threads)]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def summarize(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for key in rounds[0]:
        values = [one[key] for one in rounds]
        if isinstance(values[0], str):
            summary[key] = sorted(set(values))
        else:
            digits = 6 if key == "mean_cosine" else 3
            summary[key] = {
                "median": round(statistics.median(values), digits),
                "range": [round(min(values), digits), round(max(values), digits)],
            }
    return summary


def machine() -> dict[str, Any]:
    import numpy
    import onnxruntime
    import tokenizers

    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    versions = {"numpy": numpy.__version__, "onnxruntime": onnxruntime.__version__, "tokenizers": tokenizers.__version__}
    return {"processor": model, "cores": os.cpu_count(), "python": platform.python_version(), **versions}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--texts", type=Path, required=True, help="JSON lines with title and text, .gz or not")
    parser.add_argument("--vectors", type=Path, help="float16 .npy of the same texts, to compare with")
    parser.add_argument("--n", type=int, default=100, help="how many texts, spread over the file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the result here as JSON")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child[0], int(options.child[1]), options)))
        return
    rounds: dict[tuple[str, int], list[dict[str, Any]]] = {(runner, threads): [] for threads in THREADS for runner in RUNNERS}
    load_average = [os.getloadavg()[0]]
    for _ in range(options.rounds):
        for (runner, threads), results in rounds.items():
            results.append(run_child(runner, threads, sys.argv[1:]))
            load_average.append(os.getloadavg()[0])
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    report = {
        "question": __doc__.split("\n")[0],
        "command": " ".join(["benchmarks/embed/runners.py", *sys.argv[1:]]),
        "data": {"file": options.texts.name, "n": options.n, "rounds": options.rounds},
        "model": "minilm, 384 dimensions, float32, at most 256 tokens",
        "machine": machine(),
        "load_average": [round(min(load_average), 1), round(max(load_average), 1)],
        "commit": commit,
        "date": time.strftime("%Y-%m-%d"),
        "results": {
            f"{runner}, {threads} thread{'s' * (threads > 1)}": summarize(results) for (runner, threads), results in rounds.items()
        },
    }
    text = json.dumps(report, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
