"""Writes the pages of docs/reference/ that the code itself can tell: the command line and the settings. Tests compare them.

    make docs
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path

import click

from vicino.cli.app import COMMANDS
from vicino.cli.command import Command
from vicino.cli.exit_codes import CODE_OF_KIND, MEANING
from vicino.collection.limits import Limits
from vicino.config import SETTINGS, Config, ModelSettings

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"
MET = {True: "yes", False: "no", None: ""}
HEAD = "<!-- Written by scripts/make_reference.py; run `make docs` instead of editing. -->\n"

CLI_INTRODUCTION = """\
# The command `vicino`

Every command takes the folder of the database first. It may be left out: then it is `--data`, `VICINO_DATA`, `data` in `vicino.toml`,
or `./vicino-data`. Where any number of words may follow (`get`, `load`, `update`, `delete`), the first one is the folder if it holds a
database or is spelled with a slash.

- Standard output carries data only; progress, notes and errors go to standard error. Into a pipe or file goes plain text without color.
- `--json` prints one JSON document, errors included (on standard error). Its keys are part of the
  [versioned interface](../../CONTRIBUTING.md#what-stays-compatible). Datetimes, UUIDs, geo points and integers beyond 64 bits are
  tagged, as in [JSON lines](../howto/load-data.md#values-that-json-has-no-type-for).
- `-` stands for standard input, or in `export` for standard output.
- What deletes or overwrites says what will go and asks; `--yes` is for scripts, `--dry-run` only looks.
- Commands that only read do so beside a writing process; the others wait `--lock-timeout` seconds for it.
- `NO_COLOR`, `--quiet`, `--verbose`, `--no-progress` do what they say. Every [setting](settings.md) is a flag of every command.
"""

SETTINGS_INTRODUCTION = """\
# Settings

## Of the command

The first of flag, environment variable, settings file and default wins; `vicino config show` prints every value with its origin. The
file is the one `--config` or `VICINO_CONFIG` names, else `vicino.toml` in the working directory, else `vicino/vicino.toml` in the user's
configuration folder (`$XDG_CONFIG_HOME`, else `~/.config`). An unknown name in it is an error. `vicino config schema` prints its JSON
Schema.

A program that imports vicino says what it wants in its calls; it reads `offline`, `kernels` and `models.*` from the environment, and no
file.
"""

MEASUREMENTS_INTRODUCTION = """\
# Measurements

What the files in `benchmarks/results/` say, word for word; each names the machine, the commit and the command that measured it. Rates
depend on the machine, so compare only figures of one run. Where the load average is above the number of cores, other work ran beside it,
and only counts, recalls and ratios of systems that took turns say much. Misses are shown like hits.
"""

OPEN_SETTINGS = [
    ("mode", '"rw"', '"rw" writes, one process at a time; "r" reads beside it and follows it; "rescue" reads what damage has left'),
    ("memory_limit", "none", 'bytes, or a text such as "2GB"; see [memory limit](../howto/memory-limit.md)'),
    ("sync", '"commit"', "when a write is durable; see [durability levels](../howto/durability-levels.md)"),
    ("lock_timeout", "0.0", "seconds to wait for another writer"),
    ("retain", "0", "how many past versions stay readable; see [history](../howto/snapshots-and-history.md)"),
    ("threads", "1", "threads of one background build, and for the queries of one `search_many`"),
    ("limits", "`Limits()`", "thresholds of the engine, below"),
]

COLLECTION_SETTINGS = [
    ("vectors", "vectors by name: dimension, metric, dtype, index"),
    ("next_slot", "bookkeeping: the number the next new vector gets in the files"),
    ("values", "sparse vectors and multi-vectors by name: their spec and the slot of their columns"),
    ("texts", "fields indexed for text search: analyzer, weight of lengths (k1, b), languages met so far"),
    ("schema", "declared fields, and whether others are refused"),
    ("embed", "fields whose text the model embeds"),
    ("model", "exact identity of the embedding model: name, revision, hashes, pooling"),
    ("ttl", "datetime field at whose instant a record vanishes"),
    ("indexes", "field indexes asked for, or added because filters used the field"),
    ("auto_index", "whether filters make the engine index fields"),
    ("head_bytes_max", "when a head is sealed; none leaves it to the engine"),
    ("segment_rows_max", "how far segments are merged; none leaves it to the engine"),
    ("keep_queries", "how many of the latest queries of each vector are kept to measure recall with; 0 keeps none"),
    ("recall_checks", "share of the queries under a promised recall that are run again exactly in the background"),
]


def pages() -> dict[Path, str]:
    """The pages that follow from the code, by their files. The measurements follow from who measured last, so no test insists on them."""
    return {REFERENCE / "cli.md": cli_page(), REFERENCE / "settings.md": settings_page(), README: readme()}


DUELS = {
    "duel_debian": "100,000 × 384, real",
    "duel_minilm": "16,031 × 384, real",
    "duel_synth768": "100,000 × 768",
    "duel_l2sift128": "300,000 × 128, l2",
    "million_synth384": "1,000,000 × 384",
    "million_synth768": "1,000,000 × 768",
}
"""Results of duels that the README sums up, as far as they were measured, and what their rows are."""
DUEL_RECALLS = ("0.95", "0.99", "0.999")


DATABASES = {"vicino-db": "vicino", "qdrant": "Qdrant Edge", "zvec": "zvec", "pgvector": "pgvector", "chroma": "Chroma", "lance": "LanceDB"}
BANDS = {"none": "no filter"} | {band: band for band in ("50 %", "10 %", "1 %", "0.1 %", "own cluster", "other cluster")}


def readme() -> str:
    """The README with the tables of duels and of databases as the results have them."""
    return _replaced(_replaced(README.read_text(encoding="utf-8"), "duels", _duels()), "databases", _databases())


def _replaced(text: str, name: str, block: str) -> str:
    """The text with what stands between two comments of this name replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = text.partition(begin)
    return f"{before}{begin}{block}{end}{rest.partition(end)[2]}"


def _duels() -> str:
    measured = {RESULTS / f"ann_{name}.json": what for name, what in DUELS.items()}
    rows = [
        (what, _processor(path), *(" and ".join(_duel_ratios(path, recall)) or "-" for recall in DUEL_RECALLS))
        for path, what in measured.items()
        if path.exists()
    ]
    return table(["rows", "processor", *(f"recall@10 {recall}" for recall in DUEL_RECALLS)], rows)


def _databases() -> str:
    result = json.loads((RESULTS / "ann_databases_debian.json").read_text())
    got = {figure["name"]: figure["got"] for figure in result["figures"]}
    rows = [
        (
            f"{shown} {result['peers'][peer]['version']}",
            got[f"{peer}, ingest"].split(", ")[1].partition(" rows/s")[0],
            *(got[f"{peer}, {band}"].partition("/s")[0] for band in BANDS),
        )
        for peer, shown in DATABASES.items()
        if f"{peer}, ingest" in got
    ]
    return table(["system", "rows/s until indexed", *BANDS.values()], rows)


def _processor(path: Path) -> str:
    return json.loads(path.read_text())["machine"]["cpu"].replace("(R)", "").removesuffix(" Processor")


def _duel_ratios(path: Path, recall: str) -> list[str]:
    """The lower ends of the intervals, by peer; a peer that failed or does not reach the recall is left out."""
    duels = json.loads(path.read_text())["duels"]
    shown = {"symphonyqg": "SymphonyQG", "hnswlib": "hnswlib"}
    fights = [(shown[peer], fight) for peer in shown for fight in duels.get(peer, {}).get("fights", [])]
    return [f"{fight['ratio_low']:.1f}x {peer}" for peer, fight in fights if f"{fight['recall']:g}" == recall and "ratio_low" in fight]


def cli_page() -> str:
    kinds = {code: [kind for kind, found in CODE_OF_KIND.items() if found == code] for code in MEANING}
    rows = [(str(code), meaning, ", ".join(f"`{kind}`" for kind in kinds[code])) for code, meaning in MEANING.items()]
    parts = [HEAD + CLI_INTRODUCTION, "## Exit codes\n", table(["code", "meaning", "[kind of error](errors.md)"], rows)]
    for name in COMMANDS:
        found = import_module(f"vicino.cli.{name}").command
        if isinstance(found, click.Group):
            parts += [command_section(f"{name} {inner}", found.commands[inner]) for inner in sorted(found.commands)]
        else:
            parts.append(command_section(name, found))
    return "\n".join(parts)


def command_section(name: str, command: click.Command) -> str:
    assert isinstance(command, Command), name
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option) and not parameter.hidden]
    usage = " ".join([f"vicino {name}", *(argument.make_metavar(click.Context(command)) for argument in arguments), "[OPTIONS]"])
    examples = "\n".join(line.strip() for line in command.examples.splitlines())
    own = [option for option in options if option.name not in ("is_json", "is_quiet", "is_verbose", "no_progress", "config_file")]
    text = " ".join((command.help or "").split())
    parts = [f"## vicino {name}\n", f"{text}\n", f"```\n{usage}\n\n{examples}\n```\n"]
    if own:
        parts.append(table(["option", "what it does"], [option_row(option) for option in own]))
    return "\n".join(parts)


def option_row(option: click.Option) -> tuple[str, str]:
    names = ", ".join(f"`{flag}`" for flag in option.opts)
    choices = f"one of {', '.join(option.type.choices)}" if isinstance(option.type, click.Choice) else ""
    default = f"default {option.default}" if option.show_default and option.default is not None else ""
    return names, "; ".join(part for part in ((option.help or "").rstrip("."), choices, default) if part).replace("|", "\\|")


def settings_page() -> str:
    rows = [
        (f"`{name}`", f"`{setting.flag}`", f"`{setting.variable}`", default_of(name), setting.help) for name, setting in SETTINGS.items()
    ]
    parts = [HEAD + SETTINGS_INTRODUCTION, table(["setting", "flag", "environment", "default", "what it is"], rows)]
    parts += ["## Of `vicino.open`\n", table(["argument", "default", "what it is"], [(f"`{n}`", d, h) for n, d, h in OPEN_SETTINGS])]
    parts += [
        "## Of a collection\n",
        "`Collection.settings` shows them; they are stored with the collection.\n",
        table(["setting", "what it is"], [(f"`{name}`", text) for name, text in COLLECTION_SETTINGS]),
    ]
    limits = dict(described(Limits.__doc__ or ""))
    defaults = [(f"`{field.name}`", f"{field.default:,}", limits[field.name]) for field in fields(Limits)]
    parts += ["## Limits\n", "`vicino.open(path, limits=Limits(…))`, for those who measured. The defaults suit almost everybody.\n"]
    parts.append(table(["limit", "default", "what it does"], defaults))
    return "\n".join(parts)


def measurements_page() -> str:
    parts = [HEAD + MEASUREMENTS_INTRODUCTION]
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        if "figures" not in result:
            continue  # it has a page of its own
        machine = result["machine"]
        where = f"{machine['cpu']}, {machine['cores']} cores, {machine['file_system']} with {machine['fsyncs_per_s']} syncs a second"
        if "load_average" in machine:
            where += f", load average {machine['load_average']:g}"
        parts.append(f"## {path.stem.replace('_', ' ')}\n")
        parts.append(f"`{result['command']}`, {result['date'][:10]}, commit {result['commit'][:10]}; {where}.\n")
        rows = [(figure["name"], figure["got"], figure["target"] or "", MET[figure["met"]]) for figure in result["figures"]]
        parts.append(table(["what", "measured", "target", "met"], rows))
        parts += [f"![{path.stem}: {chart_title(chart)}](../../benchmarks/results/{chart.name})\n" for chart in charts_of(path)]
    return "\n".join(parts)


def charts_of(result: Path) -> list[Path]:
    """The charts beside a result: of its name, or of its name and what each of several shows."""
    return [*result.parent.glob(f"{result.stem}.svg"), *sorted(result.parent.glob(f"{result.stem}_*.svg"))]


def chart_title(chart: Path) -> str:
    found = re.search(r'<text [^>]*font-size="15">(.*?)</text>', chart.read_text(encoding="utf-8"))
    assert found, chart
    return found[1]


def default_of(name: str) -> str:
    section, _, key = name.rpartition(".")
    if name == "models.folder":
        return "`vicino/models` in the user's data folder"
    field = next(found for found in fields(ModelSettings if section else Config) if found.name == key)
    assert field.default is not MISSING, name
    return "none" if field.default is None else f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def described(docstring: str) -> Iterable[tuple[str, str]]:
    """(name, text) of the lines `name, other: text` of a docstring; lines that follow without a name belong to the text."""
    found: list[tuple[Sequence[str], str]] = []
    for line in (line.strip() for line in docstring.splitlines()[1:]):
        if match := re.match(r"([a-z_]+(?:, [a-z_]+)*): (.*)", line):
            found.append((match[1].split(", "), match[2]))
        elif line and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line}")
    for names, text in found:
        for name in names:
            yield name, text


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for path, text in [*pages().items(), (REFERENCE / "measurements.md", measurements_page())]:
        path.write_text(text)
