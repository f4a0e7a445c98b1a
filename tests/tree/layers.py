"""The layers of the tree, as data. A name imports from lines above its own and from itself; names of one line do not import each other."""

PYTHON_LAYERS: list[set[str]] = [
    {"types", "errors"},
    {"env", "config", "observe", "elsewhere"},
    {"_core"},
    {"text", "index", "storage", "gpu"},
    {"filter"},
    {"segment"},
    {"recall"},
    {"query"},
    {"collection"},
    {"models"},
    {"embed"},
    {"security", "gateway"},
    {"database"},
    {"evaluate", "ingest", "rag"},
    {"aio"},
    {"server", "cluster"},
    {"cli"},
]

# `vicino/__init__.py` is the public face and re-exports; `__main__` is the command.
PYTHON_ROOTS = {"", "__main__"}

# These use the public face, as any user would.
PYTHON_OUTSIDE = {"evaluate", "ingest", "rag", "aio", "server", "cluster", "cli", "__main__"}

# Upward imports that are meant, each with its reason.
PYTHON_EXCEPTIONS: dict[tuple[str, str], str] = {
    ("env", "_core"): "Files.map hands out the core's Blob, a buffer that keeps its owner alive; the core imports nothing of ours",
}

CORE_LAYERS: list[set[str]] = [
    {"util"},
    {"kernels"},
    {"fields", "storage", "codes"},
    {"index", "filter", "maxsim", "sparse"},
    {"text", "ivf"},
    {"shard"},
    {"bind"},
]
