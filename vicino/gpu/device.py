"""What a device does: distances of a tile of rows to some queries, and the sums of a tile by nearest centroid.

Two kinds, with the same arithmetic: torch, on what `open_device` is asked for, and numpy, which is the processor's form of k-means and lets
the search be tested where there is no device. Everything they hold at once is bounded by the tiles they are given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from vicino.errors import InvalidArgument, MemoryLimitError, MissingExtraError

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

METRICS = ("cosine", "dot", "l2", "l1")
EXAMPLES = '"cpu", "cuda" or "cuda:1"'
_PRECISION = Lock()
"""torch has one precision of products for all threads; held while one is begun."""


class Nearest(NamedTuple):
    """The nearest rows of a tile to each query, in no order: ordering distances (l2: squared) and rows.

    is_sound: per query, whether all distances were finite. norm_max: of the tile's rows; 1 for cosine.
    """

    distances: Floats
    rows: Integers
    is_sound: npt.NDArray[np.bool_]
    norm_max: float


class Assigned(NamedTuple):
    """The nearest centroid of each row of a tile, and by centroid the sum and number of its rows.

    distances: half the squared distance of each row from its centroid, less half the square of the row's own length.
    """

    nearest: Integers
    distances: Floats
    sums: npt.NDArray[np.float64]
    counts: Integers


class Device(Protocol):
    name: str

    def hold(self, rows: Floats) -> Any:
        """The rows where the device computes."""
        ...

    def unit(self, held: Any) -> Any:
        """Held rows divided by their length; zero rows stay."""
        ...

    def nearest(self, queries: Any, rows: Any, metric: str, k: int) -> Nearest:
        """Of held rows; under cosine queries and rows are unit vectors."""
        ...

    def assign(self, rows: Any, centroids: Any) -> Assigned: ...


def open_device(name: str) -> Device:
    """The device of this name: "cpu" for numpy, else one that torch has.

    Raises InvalidArgument for another name and for one that torch does not have, MissingExtraError without torch.
    """
    if name == "cpu":
        return NumpyDevice()
    kind, _, number = name.partition(":") if isinstance(name, str) else ("", "", "")
    if kind != "cuda" or (number and not number.isdecimal()) or (":" in name and not number):
        raise InvalidArgument(f"device= is {EXAMPLES}, got {name!r}")
    torch = _import_torch(name)
    if not torch.cuda.is_available():
        raise InvalidArgument(
            f'device="{name}" was asked for, but torch {torch.__version__} finds no CUDA device; check the driver with nvidia-smi, '
            "install a torch that was built for CUDA, or leave device= out to search with the processor"
        )
    if number and int(number) >= torch.cuda.device_count():
        raise InvalidArgument(f'device="{name}" was asked for, this machine has {torch.cuda.device_count()} CUDA devices, numbered from 0')
    return TorchDevice(torch, name)


def _import_torch(name: str) -> Any:
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError(f'device="{name}" needs torch, which is not installed; run: pip install "vicino[gpu]"') from error
    return torch


class TorchDevice:
    """A device of torch. `name` is torch's own, "cpu" included. Raises MemoryLimitError where the device has too little memory left."""

    def __init__(self, torch: Any, name: str) -> None:
        self._torch, self.name = torch, name

    def hold(self, rows: Floats) -> Any:
        with self._working():
            # A copy where torch could not write: it warns about memory that is only for reading.
            return self._torch.from_numpy(np.require(rows, requirements=["C", "W"])).to(self.name)

    def unit(self, held: Any) -> Any:
        torch = self._torch
        with self._working():
            largest = held.abs().amax(dim=1, keepdim=True)
            scaled = held / torch.where(largest > 0, largest, 1.0)  # squares of the largest numbers would not be finite
            norms = scaled.norm(dim=1, keepdim=True)
            return scaled / torch.where(norms > 0, norms, 1.0)

    def nearest(self, queries: Any, rows: Any, metric: str, k: int) -> Nearest:
        torch = self._torch
        with self._working():
            norms = (rows * rows).sum(dim=1)
            if metric == "l1":
                distances = torch.cdist(queries, rows, p=1.0)
            elif metric == "l2":
                distances = self._products(queries, rows).mul_(-2.0).add_((queries * queries).sum(dim=1, keepdim=True)).add_(norms)
            else:
                distances = self._products(queries, rows).neg_().add_(1.0 if metric == "cosine" else 0.0)
            is_sound = torch.isfinite(distances).all(dim=1)
            best, columns = torch.topk(distances, min(k, len(rows)), dim=1, largest=False, sorted=False)
            norm_max = 1.0 if metric == "cosine" else float(norms.max()) ** 0.5
            return Nearest(best.cpu().numpy(), columns.cpu().numpy(), is_sound.cpu().numpy(), norm_max)

    def assign(self, rows: Any, centroids: Any) -> Assigned:
        torch = self._torch
        with self._working():
            distances, nearest = ((centroids * centroids).sum(dim=1) / 2 - self._products(rows, centroids)).min(dim=1)
            sums = torch.zeros(centroids.shape, dtype=torch.float64, device=self.name)
            sums.index_add_(0, nearest, rows.double())
            counts = torch.bincount(nearest, minlength=len(centroids))
            return Assigned(nearest.cpu().numpy(), distances.cpu().numpy(), sums.cpu().numpy(), counts.cpu().numpy())

    @contextmanager
    def _working(self) -> Iterator[None]:
        with self._torch.inference_mode():
            try:
                yield
            except self._torch.cuda.OutOfMemoryError as error:
                raise MemoryLimitError(
                    f'device="{self.name}" has too little free memory for a tile of vectors; nvidia-smi shows what holds it; free some, '
                    f"or leave device= out to compute with the processor (torch: {str(error).partition('. ')[0]})"
                ) from error

    def _products(self, left: Any, right: Any) -> Any:
        """Of every row with every row, in float32 as it is: without the TF32 that a program may have allowed for its models."""
        torch = self._torch
        with _PRECISION:
            try:
                before, allow, full = torch.get_float32_matmul_precision(), torch.set_float32_matmul_precision, "highest"
            except RuntimeError:  # torch has no one answer once a program has chosen by backend
                matmul = torch.backends.cuda.matmul
                before, allow, full = matmul.fp32_precision, lambda precision: setattr(matmul, "fp32_precision", precision), "ieee"
            if before == full:
                return left @ right.T
            allow(full)
            try:
                return left @ right.T  # begun here; what a device has begun keeps its precision
            finally:
                allow(before)


class NumpyDevice:
    """The processor, by numpy."""

    name = "cpu"

    def hold(self, rows: Floats) -> Floats:
        return rows

    def unit(self, held: Floats) -> Floats:
        largest = np.abs(held).max(axis=1, keepdims=True)
        scaled = held / np.where(largest > 0, largest, np.float32(1))
        norms = np.sqrt((scaled * scaled).sum(axis=1, keepdims=True))
        return (scaled / np.where(norms > 0, norms, np.float32(1))).astype(np.float32, copy=False)

    def nearest(self, queries: Floats, rows: Floats, metric: str, k: int) -> Nearest:
        with np.errstate(over="ignore", invalid="ignore"):
            norms = (rows * rows).sum(axis=1)
            if metric == "l1":
                distances = np.stack([np.abs(rows - query).sum(axis=1) for query in queries])
            elif metric == "l2":
                distances = (queries * queries).sum(axis=1, keepdims=True) - 2 * (queries @ rows.T) + norms
            else:
                distances = np.float32(metric == "cosine") - queries @ rows.T
        is_sound = np.asarray(np.isfinite(distances).all(axis=1))
        columns = np.argpartition(distances, min(k, len(rows)) - 1, axis=1)[:, :k]
        norm_max = 1.0 if metric == "cosine" else float(norms.max()) ** 0.5
        return Nearest(np.take_along_axis(distances, columns, axis=1), columns, is_sound, norm_max)

    def assign(self, rows: Floats, centroids: Floats) -> Assigned:
        distances = (centroids * centroids).sum(axis=1) / 2 - rows @ centroids.T
        nearest = distances.argmin(axis=1)
        counts = np.bincount(nearest, minlength=len(centroids))
        sums = np.zeros(centroids.shape, np.float64)
        order, filled = np.argsort(nearest, kind="stable"), np.flatnonzero(counts)
        sums[filled] = np.add.reduceat(rows[order].astype(np.float64), (np.cumsum(counts) - counts)[filled], axis=0)
        return Assigned(nearest, np.take_along_axis(distances, nearest[:, None], axis=1)[:, 0], sums, counts)
