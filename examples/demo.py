"""Real products, searched by meaning: what `make demo` runs. The database stays in ./demo-data for the command line."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

import vicino
from vicino import F

PRODUCTS = Path(__file__).with_name("products.jsonl.gz")
FOLDER = "demo-data"

console = Console(highlight=False, width=min(110, Console().width))


def main() -> None:
    with vicino.open(FOLDER) as db:
        products = db.create_collection("products", model="minilm", embed=["title", "text"], exist_ok=True)
        if not products:
            fill(products)
        show_code('db = vicino.open("demo-data")\nproducts = db["products"]')
        console.print(f"    {len(products):,} products: {', '.join(f'{n:,} {name}' for name, n in products.facet('category').items())}\n")

        show(
            'products.search("a gift for a child who loves dinosaurs", where=F.price < 15, limit=3)',
            products.search("a gift for a child who loves dinosaurs", where=F.price < 15, limit=3),
        )
        show(
            'products.search("practise drums without waking the neighbors", where=F.category == "Musical Instruments", limit=3)',
            products.search("practise drums without waking the neighbors", where=F.category == "Musical Instruments", limit=3),
        )
        show(
            'products.search("a thief with a good heart", where="category == \'Kindle Store\' and rating >= 4.3", limit=3)',
            products.search("a thief with a good heart", where="category == 'Kindle Store' and rating >= 4.3", limit=3),
        )
        show(
            'products.search("something for a rainy Sunday", where=F.title.matches("puzzle") & F.rating.between(4, 5), limit=3)',
            products.search("something for a rainy Sunday", where=F.title.matches("puzzle") & F.rating.between(4, 5), limit=3),
        )
    console.print(
        "The database is in ./demo-data. Try it from the command line:\n\n"
        '    .venv/bin/vicino search demo-data products "music for campfires" --where "price < 50" --select title --select price\n'
        '    .venv/bin/vicino explain demo-data products "music for campfires" --where "price < 50"\n'
        "    .venv/bin/vicino stats demo-data\n"
        "    .venv/bin/vicino doctor demo-data\n",
        soft_wrap=True,
    )


def fill(products: vicino.Collection) -> None:
    """Embeds and writes all products, a hundred a commit. Interrupted, it starts again without harm: the same ids are written again."""
    console.print("Reading 3,000 products and embedding their texts on this machine, once; about a minute on two cores.")
    shown = sys.stderr.isatty()

    def tell(done: int, _total: int | None) -> None:
        if shown:
            print(f"\r    {done:,} products", end="\n" if done == 3000 else "", file=sys.stderr, flush=True)

    written = products.load(PRODUCTS, batch=100, progress=tell)
    console.print(f"    {written.count:,} products, durable and searchable, after {written.took_s:.0f} s\n")


def show_code(code: str) -> None:
    console.print(Syntax(code, "python", theme="ansi_dark", background_color="default", word_wrap=True))


def show(code: str, results: vicino.Results) -> None:
    """The line of code, and what it found."""
    show_code(code)
    table = Table(box=None, show_header=False, pad_edge=True, padding=(0, 1, 0, 1))
    table.add_column(justify="right", style="green")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, style="yellow")
    for hit in results:
        price = f"{hit['price']:.2f}" if hit["price"] else "free"
        table.add_row(f"{hit.score:.2f}", Text(hit["title"]), price, f"★ {hit['rating']:.1f}")
    console.print(table)
    console.print(f"    {results.took_s * 1e3:.1f} ms after the query was embedded\n", style="dim")


if __name__ == "__main__":
    main()
