"""Devices by name, and what is said where there is none."""

import builtins
import sys
from importlib.util import find_spec
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.unit.gpu.devices import DEVICES, device_of
from vicino.errors import InvalidArgument, MemoryLimitError, MissingExtraError
from vicino.gpu import open_device
from vicino.gpu.device import NumpyDevice, TorchDevice

ON_TORCH = [name for name in DEVICES if name != "numpy"]


def fake_torch(*, n_devices: int) -> Any:
    cuda = SimpleNamespace(is_available=lambda: n_devices > 0, device_count=lambda: n_devices)
    return SimpleNamespace(__version__="9.9", cuda=cuda)


def test_the_processor_needs_no_torch() -> None:
    assert isinstance(open_device("cpu"), NumpyDevice)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda0", "", None, 0])
def test_other_names_are_refused(name: Any) -> None:
    with pytest.raises(InvalidArgument, match='device= is "cpu", "cuda" or "cuda:1", got'):
        open_device(name)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r'device="cuda:1" needs torch.*pip install "vicino\[gpu\]"'):
        open_device("cuda:1")


def test_torch_without_a_device_is_said_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(n_devices=0))
    with pytest.raises(InvalidArgument, match=r"torch 9\.9 finds no CUDA device; check the driver"):
        open_device("cuda")


def test_a_number_beyond_the_last_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(n_devices=2))
    assert isinstance(open_device("cuda:1"), TorchDevice)
    with pytest.raises(InvalidArgument, match="this machine has 2 CUDA devices"):
        open_device("cuda:2")


@pytest.mark.parametrize("device", DEVICES)
def test_sums_and_counts_are_of_the_nearest_centroid(device: str) -> None:
    at = device_of(device)
    rows = np.array([[0, 0], [0, 1], [9, 9], [10, 9]], np.float32)
    centroids = np.array([[0, 0], [50, 50], [10, 10]], np.float32)
    found = at.assign(at.hold(rows), at.hold(centroids))
    assert found.nearest.tolist() == [0, 0, 2, 2]
    assert found.counts.tolist() == [2, 0, 2]
    assert found.sums.tolist() == [[0, 1], [0, 0], [19, 18]]
    assert found.distances.tolist() == [0, 0, 100 - 180, 100 - 190]


@pytest.mark.parametrize("device", ON_TORCH)
@pytest.mark.parametrize("by_backend", [False, True], ids=["for all backends", "by backend"])
def test_a_shorter_mantissa_that_the_program_allows_is_not_used_and_stays_allowed(device: str, by_backend: bool) -> None:
    at = device_of(device)
    import torch  # pyright: ignore[reportMissingImports]

    matmul = torch.backends.cuda.matmul
    if by_backend and not hasattr(matmul, "fp32_precision"):
        pytest.skip(f"torch {torch.__version__} has one precision for all backends")
    before = torch.get_float32_matmul_precision()
    if by_backend:
        matmul.fp32_precision = "tf32"
    else:
        torch.set_float32_matmul_precision("medium")
    try:
        queries = np.full((1, 256), 1 + 2.0**-20, np.float32)
        found = at.nearest(at.hold(queries), at.hold(queries), "dot", 1)
        assert (matmul.fp32_precision if by_backend else torch.get_float32_matmul_precision()) == ("tf32" if by_backend else "medium")
    finally:
        torch.set_float32_matmul_precision(before)
    assert found.distances[0, 0] == pytest.approx(-256 * (1 + 2.0**-19), rel=2.0**-22)


def test_products_of_several_threads_each_have_their_full_precision() -> None:
    """torch has one precision for all of them: one that ends must not take it from another that has begun."""
    state = {"precision": "high"}
    torch: Any = SimpleNamespace(
        get_float32_matmul_precision=lambda: state["precision"], set_float32_matmul_precision=lambda p: state.update(precision=p)
    )
    device = TorchDevice(torch, "cuda")
    second_began, first_ended, seen = Event(), Event(), []

    class Second:
        T = None

        def __matmul__(self, _: Any) -> None:
            second_began.set()
            first_ended.wait(10)
            seen.append(state["precision"])

    second = Thread(target=lambda: device._products(Second(), Second()))

    class First(Second):
        def __matmul__(self, _: Any) -> None:
            second.start()
            second_began.wait(0.2)

    device._products(First(), First())
    first_ended.set()
    second.join()
    assert seen == ["highest"]
    assert state["precision"] == "high"


@pytest.mark.parametrize("device", ON_TORCH)
def test_too_little_memory_on_the_device_is_said_with_the_way_out(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at = device_of(device)
    import torch  # pyright: ignore[reportMissingImports]

    def refuse(*_: Any, **__: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 256.00 MiB. GPU 0 has …")

    monkeypatch.setattr(torch, "topk", refuse)
    rows = at.hold(np.ones((3, 4), np.float32))
    with pytest.raises(MemoryLimitError, match=rf'device="{at.name}" has too little free memory.*\(torch: CUDA out of memory\)'):
        at.nearest(rows, rows, "l2", 2)


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed: pip install 'vicino[gpu]'")
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
def test_everything_is_computed_on_the_device_and_fetched_from_it(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By shapes alone, which torch knows of a CUDA device where there is none: what mixed devices, or read one unasked, would raise."""
    import torch  # pyright: ignore[reportMissingImports]
    from torch._subclasses.fake_tensor import FakeTensorMode  # pyright: ignore[reportMissingImports]
    from torch.fx.experimental.symbolic_shapes import ShapeEnv  # pyright: ignore[reportMissingImports]

    fetched: list[str] = []

    def fetch(held: Any) -> Any:
        fetched.append(str(held.device))
        return SimpleNamespace(numpy=lambda: held)

    monkeypatch.setattr(torch.Tensor, "cpu", fetch)
    monkeypatch.setattr(torch.Tensor, "__float__", lambda held: 1.0)
    at = TorchDevice(torch, "cuda")
    with FakeTensorMode(shape_env=ShapeEnv()):
        queries, rows = torch.empty(5, 24, device="cuda"), torch.empty(100, 24, device="cuda")
        found, assigned = at.nearest(at.unit(queries), rows, metric, 7), at.assign(rows, queries)
    assert [tuple(held.shape) for held in found[:3]] == [(5, 7), (5, 7), (5,)]
    assert [tuple(held.shape) for held in assigned[:3]] == [(100,), (100,), (5, 24)]
    assert fetched == ["cuda:0"] * 7
