"""Which records a search or a write is about: conditions on fields, ids and vectors.

`model` holds the conditions as values; every spelling compiles to them: `expression` (`F.price < 50`), `parse_string`, `parse_mapping`,
`parse_qdrant`, all reached through `parse.parse_where`. `render` writes a condition back as an expression. `match` is the slow reference
that says what each condition means, `compile` hands conditions to the core, which evaluates them.
"""
