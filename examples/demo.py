"""Real products, searched by meaning and words: what `make demo` runs. The database stays in ./demo-data for the command line."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

import vicino
from vicino import F

PRODUCTS = Path(__file__).with_name("products.jsonl.gz")
N_PRODUCTS = 3000
FOLDER = "demo-data"

TITLE_WIDTH = 76
PYTHON = Syntax("", "python", theme="ansi_dark", background_color="default")

console = Console(highlight=False, soft_wrap=True)


def main() -> None:
    with vicino.open(FOLDER) as db:
        products = db.create_collection("products", model="minilm", embed=["title", "text"], exist_ok=True)
        if len(products) < N_PRODUCTS:
            fill(products)
        show_code('db = vicino.open("demo-data")\nproducts = db["products"]')
        console.print(f"    {len(products):,} products: {', '.join(f'{n:,} {name}' for name, n in products.facet('category').items())}\n")

        show(
            'products.search("a gift for a child who loves dinosaurs", where=F.price < 15, limit=3)',
            products.search("a gift for a child who loves dinosaurs", where=F.price < 15, limit=3),
        )
        show(
            'products.search("learn to play the drums quietly", where=F.category == "Musical Instruments", limit=3)',
            products.search("learn to play the drums quietly", where=F.category == "Musical Instruments", limit=3),
        )
        show(
            'products.search("a thief with a good heart", where="category == \'Kindle Store\' and rating >= 4.3", limit=3)',
            products.search("a thief with a good heart", where="category == 'Kindle Store' and rating >= 4.3", limit=3),
        )
    console.print(
        "  The database is in ./demo-data. Try it from the command line:\n\n"
        '    .venv/bin/vicino search demo-data products "music for campfires" --where "price < 50" --select title --select price\n'
        '    .venv/bin/vicino explain demo-data products "music for campfires" --where "price < 50"\n'
        "    .venv/bin/vicino stats demo-data\n"
        "    .venv/bin/vicino doctor demo-data\n"
    )


def fill(products: vicino.Collection) -> None:
    """Embeds and writes all products, a hundred a commit. Interrupted, it starts again without harm: the same ids are written again."""
    console.print(f"\n  Embedding the texts of {N_PRODUCTS:,} products on this machine, once: about a minute on two cores.")
    shown = sys.stderr.isatty()

    def tell(done: int, _total: int | None) -> None:
        if shown:
            print(f"\r    {done:,} products", end="\n" if done == N_PRODUCTS else "", file=sys.stderr, flush=True)

    written = products.load(PRODUCTS, batch=100, progress=tell)
    console.print(f"    {written.count:,} products, durable and searchable, after {written.took_s:.0f} s\n")


def show_code(code: str) -> None:
    for line in code.splitlines():
        console.print("  ", PYTHON.highlight(line), sep="", end="")


def show(code: str, results: vicino.Results) -> None:
    """The line of code, and what it found."""
    show_code(code)
    for hit in results:
        title = hit["title"] if len(hit["title"]) <= TITLE_WIDTH else hit["title"][: TITLE_WIDTH - 1] + "…"
        price = f"{hit['price']:.2f}" if hit["price"] else "free"
        score, rating = (f"{hit.score:.2f}", "green"), (f"★ {hit['rating']:.1f}", "yellow")
        console.print(Text.assemble("    ", score, f" {title:<{TITLE_WIDTH}} {price:>8}  ", rating))
    console.print(f"    {results.took_s * 1e3:.1f} ms, the embedding of the query included\n", style="dim")


if __name__ == "__main__":
    main()
