"""The devices that tests run on: numpy always, torch on the processor where it is installed, and a CUDA device where there is one."""

from importlib.util import find_spec

import pytest

from vicino.gpu.device import Device, NumpyDevice, TorchDevice, open_device

DEVICES = [
    "numpy",
    pytest.param("torch", marks=pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed: pip install 'vicino[gpu]'")),
    "cuda",
]


def has_cuda() -> bool:
    if find_spec("torch") is None:
        return False
    import torch  # pyright: ignore[reportMissingImports]

    return torch.cuda.is_available()


def device_of(name: str) -> Device:
    if name == "numpy":
        return NumpyDevice()
    if name == "cuda":
        if not has_cuda():
            pytest.skip("torch has no CUDA device here")
        return open_device("cuda")
    import torch  # pyright: ignore[reportMissingImports]

    return TorchDevice(torch, "cpu")
