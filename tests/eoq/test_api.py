"""What `eoq.cost` takes beside names: shapes, networks, PyTorch modules."""

from pathlib import Path

import pytest

import eoq
from golden import zoo
from golden.errors import InputError


def test_a_built_in_network_for_another_shape() -> None:
    small = eoq.cost("resnet8", "eoq", input_shape=(1, 8, 8))["eoq"].as_dict()
    same = eoq.cost(zoo.resnet8((1, 8, 8)), "eoq", input_shape=(1, 8, 8))["eoq"].as_dict()
    assert small == same
    assert small["macs"]["total"] < eoq.cost("resnet8", "eoq")["eoq"].as_dict()["macs"]["total"]


def test_a_network_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"'resnet8' must take samples of shape \(3, 9, 9\), not"):
        eoq.cost(zoo.resnet8(), input_shape=(3, 9, 9))


def test_a_pytorch_module() -> None:
    pytest.importorskip("torch", reason="the extra torch is not installed")
    from torch import nn

    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(),
                           nn.Linear(32, 10))  # fmt: skip
    ours = eoq.cost("mlp", batch=8)
    theirs = eoq.cost(module, input_shape=(1, 8, 8), batch=8)
    assert len(theirs) == len(ours) == 4
    for one, other in zip(ours, theirs, strict=True):
        mine, found = one.as_dict(), other.as_dict()
        for key in ("macs", "normalization", "memory_peak_bytes", "energy_j", "cycles"):
            assert found[key] == mine[key], key
    with pytest.raises(InputError, match=r"^a PyTorch module requires input_shape"):
        eoq.cost(module)


def test_anything_else_is_refused() -> None:
    with pytest.raises(InputError, match=r"^network must be a built-in name, .*, not int$"):
        eoq.cost(18, input_shape=(3, 8, 8))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"a path that ends in \.onnx"):
        eoq.cost(Path("resnet.pt"))
