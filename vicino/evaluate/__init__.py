"""How good are the answers? Judged queries, the measures of information retrieval, and comparison of settings.

judged = vicino.evaluate.read_judged_set("cranfield")                # documents, queries and judgments, as BEIR lays them out
words = vicino.evaluate.evaluate(docs, judged.judgments, judged.queries, mode="text")
both = vicino.evaluate.evaluate(docs, judged.judgments, judged.queries, mode="hybrid")
print(vicino.evaluate.compare(words, both))                          # means, significance; .changed("ndcg@10") lists the queries

The figures are those of trec_eval, for runs that vicino made and for runs of others.
"""

from vicino.evaluate.baseline import compare_with_baseline, describe_loss, store_baseline, worse_measures
from vicino.evaluate.comparison import ChangedQuery, Comparison, Difference, compare
from vicino.evaluate.evaluation import Evaluation, evaluate, evaluate_run
from vicino.evaluate.judged_set import JudgedSet, read_judged_set, read_queries
from vicino.evaluate.judgments import Judgments
from vicino.evaluate.measures import DEFAULT_MEASURES, Measure
from vicino.evaluate.runs import Run
from vicino.evaluate.significance import randomization_test, t_test

__all__ = [
    "DEFAULT_MEASURES",
    "ChangedQuery",
    "Comparison",
    "Difference",
    "Evaluation",
    "JudgedSet",
    "Judgments",
    "Measure",
    "Run",
    "compare",
    "compare_with_baseline",
    "describe_loss",
    "evaluate",
    "evaluate_run",
    "randomization_test",
    "read_judged_set",
    "read_queries",
    "store_baseline",
    "t_test",
    "worse_measures",
]
