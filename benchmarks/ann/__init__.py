"""Dense search beside its peers: one command per table, all on the same data, truth and clock.

    python -m benchmarks.ann duel|high_recall|million|kinds|curves|build|filtered|growth|batch|databases \
        --set debian|minilm|synth384|synth768|l2sift128

Answers: how fast each system answers at equal recall, one query at a time and in batches; what its index costs to build and to hold;
what filters and growth do to it. `duel` gives a ratio of two systems with its interval, measured interleaved in one process.
Does not answer: behavior under writes, on several machines, or over the network; recall at another k than 10.

How it hangs together: `data` makes a set, `truth` its exact neighbors, `peer` says what a system must do, `registry` names all of them,
`child` runs one task of one table in a process of the peers' environment, alone, in a `duel` or a `contest`; `start` starts those processes
and writes what the tables in `tables`, `duels` and `kinds` make of their answers. `kept` keeps built indexes for later runs.
"""
