"""A runner computes what an encoder says about each token of a batch. There are two, with equal results to about 1e-6:

- onnx (onnx_runner): onnxruntime, the fast one, and the only one for a model.onnx;
- numpy (bert_numpy): numpy alone, the readable reference, for machines onnxruntime does not run on.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
TokenIds = npt.NDArray[np.int64]


class Runner(Protocol):
    dim: int

    def run(self, ids: TokenIds, mask: TokenIds) -> Floats:
        """Hidden states (n, length, dim) float32 of `ids` (n, length); `mask` is 1 for tokens and 0 for padding.

        Two dimensions, (n, dim), mean that the model pools by itself. Safe to call from several threads.
        """
        ...

    def facts(self) -> dict[str, Any]:
        """How it computes, for people: name of the runner, its version, threads."""
        ...
