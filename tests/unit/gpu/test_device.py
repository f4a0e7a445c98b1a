"""Devices by name, and what is said where there is none."""

import builtins
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.unit.gpu.devices import DEVICES, device_of
from vicino.errors import InvalidArgument, MissingExtraError
from vicino.gpu import open_device
from vicino.gpu.device import NumpyDevice, TorchDevice


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


@pytest.mark.parametrize("device", [name for name in DEVICES if name != "numpy"])
def test_a_shorter_mantissa_that_the_program_allows_is_not_used_and_stays_allowed(device: str) -> None:
    at = device_of(device)
    import torch  # pyright: ignore[reportMissingImports]

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        queries = np.full((1, 256), 1 + 2.0**-20, np.float32)
        found = at.nearest(at.hold(queries), at.hold(queries), "dot", 1)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert found.distances[0, 0] == pytest.approx(-256 * (1 + 2.0**-19), rel=2.0**-22)
