"""`Target`: the vector that a search is of, and what the declaration of its index makes of the options of the search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vicino.collection.vector_spec import VectorSpec
from vicino.errors import InvalidArgument
from vicino.query.rescoring import RescoreBy, read_rescore
from vicino.recall.calibration import Choice


@dataclass(frozen=True, slots=True)
class Target:
    """The vector that is searched: its name, its declaration, and the core's form of it."""

    name: str
    spec: VectorSpec
    column: Any

    def effort(self, ef: int | None, nprobe: int | None, exact: bool, choice: Choice | None) -> tuple[int, int, bool]:
        """Beam, lists to scan (0: the engine chooses), whether all candidates are scored: as promised, as asked, or as the index says.

        Raises InvalidArgument for lists to scan where the index has none.
        """
        if nprobe is not None and not self.spec.index_spec.has_lists:
            raise InvalidArgument(
                f'nprobe={nprobe!r} is how many inverted lists are scanned; the index of vector "{self.name}", of kind '
                f'"{self.spec.index_spec.kind}", has none: leave nprobe out, or say ef='
            )
        if choice is not None:
            return choice.effort, 0, choice.exact
        if type(self.spec.index) is not str:
            index = self.spec.index_spec
            exact = exact or index.is_flat
            if ef is None and nprobe is None:
                ef, nprobe = index.ef, index.nprobe
        # Who wants no index wants every vector scored: those that are not sealed yet as well.
        return ef or 0, nprobe or 0, exact or self.spec.index == "flat"

    def rescore(self, asked: RescoreBy | None, choice: Choice | None) -> float | str:
        """How what codes have found is scored: as promised, as asked, or as the index says. Raises InvalidArgument where that cannot be."""
        if asked is None:
            if choice is not None:
                return "bound"  # as promises are measured, whatever the index says by itself
            return "bound" if type(self.spec.index) is str else read_rescore(self.spec.index_spec.rescore)
        wanted = read_rescore(asked)
        if wanted != "bound" and choice is not None:
            raise InvalidArgument(f"a promised recall is measured with rescoring by the bound of the codes; leave rescore={asked!r} out")
        if wanted != "bound" and not self.spec.has_codes:
            raise InvalidArgument(
                f'rescore={asked!r} says what follows a search by codes; the index of vector "{self.name}" has none and scores every '
                "vector it looks at, leave rescore out"
            )
        return wanted
