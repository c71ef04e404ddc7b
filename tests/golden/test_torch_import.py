"""PyTorch modules become the networks that they compute, and what has no operator is named."""

import subprocess
import sys

import pytest

from golden import zoo
from golden.errors import InputError
from golden.network import (
    Activation,
    Add,
    AveragePool,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    Linear,
    MaxPool,
    Network,
    Normalization,
    Reshape,
)

pytest.importorskip("torch", reason="the extra torch is not installed")

import torch
from torch import nn
from torch.nn import functional

from golden.torch_import import import_torch


class BasicBlock(nn.Module):
    """A ResNet basic block, its shortcut a strided 1x1 convolution where shapes differ."""

    def __init__(self, channels, width, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.down = None
        if stride != 1 or channels != width:
            self.down = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x):
        identity = x if self.down is None else self.down(x)
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet18(nn.Module):
    """Of the shapes that torchvision gives it, written for this test."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )  # fmt: skip
        blocks, channels = [], 64
        for width in (64, 128, 256, 512):
            blocks.append(BasicBlock(channels, width, 1 if width == 64 else 2))
            blocks.append(BasicBlock(width, width))
            channels = width
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(512, 1000)

    def forward(self, x):
        x = functional.adaptive_avg_pool2d(self.blocks(self.stem(x)), (1, 1))
        return self.fc(x.view(x.size(0), -1))


def operators(network: Network) -> list:
    return [layer.operator for layer in network]


def parameters(module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_a_basic_block() -> None:
    module = BasicBlock(16, 32, 2)
    network = import_torch(module, (16, 9, 7))
    assert network.name == "BasicBlock"
    assert [(name, layer.shape) for name, layer in network.layers.items()] == [
        ("down.0", (32, 5, 4)), ("down.1", (32, 5, 4)),
        ("conv1", (32, 5, 4)), ("norm1", (32, 5, 4)), ("relu", (32, 5, 4)),
        ("conv2", (32, 5, 4)), ("norm2", (32, 5, 4)),
        ("add", (32, 5, 4)), ("relu_2", (32, 5, 4)),
    ]  # fmt: skip
    assert network.layers["add"].inputs == ("norm2", "down.1")
    assert network.layers["conv1"].operator == Convolution(
        (3, 3), (2, 2), (1, 1, 1, 1), out_channels=32
    )
    assert network.parameter_count == parameters(module)


def test_resnet18_is_the_built_in_one() -> None:
    network, ours = import_torch(ResNet18(), (3, 224, 224)), zoo.resnet18()
    assert network.parameter_count == ours.parameter_count == 11_689_512

    def shapes(it: Network, kind: type) -> list:
        return sorted((str(la.operator), la.shape) for la in it if isinstance(la.operator, kind))

    for kind in (Convolution, Normalization, Activation, Add, MaxPool, GlobalAveragePool, Linear):
        assert shapes(network, kind) == shapes(ours, kind), kind
    assert network.shape_of(network.output) == (1000,)


def test_layers_and_their_options() -> None:
    module = nn.Sequential(
        nn.ZeroPad2d((1, 2, 0, 1)),
        nn.Conv2d(4, 6, (3, 2), (2, 1), padding=(1, 0), dilation=(1, 2), groups=2),
        nn.LeakyReLU(0.1),
        nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
        nn.Conv2d(6, 6, (4, 3), padding="same", bias=False),
        nn.ReLU6(),
        nn.AvgPool2d((2, 1), ceil_mode=True),
        nn.Identity(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(6, 5, bias=False),
        nn.BatchNorm1d(5),
        nn.Hardtanh(0, 4),
        nn.Linear(5, 2),
        nn.LogSoftmax(dim=1),
    )
    network = import_torch(module, (4, 17, 13))
    expected = {
        "2": Activation(slope=0.1),
        "3": MaxPool((3, 3), (2, 2), (1, 1, 1, 1), ceil=True),
        "4": Convolution((4, 3), (1, 1), (1, 1, 2, 1), out_channels=6),
        "5": Activation(maximum=6.0),
        "6": AveragePool((2, 1), (2, 1), ceil=True),
        "8": GlobalMaxPool(),
        "10": Dropout(0.3),
        "11": Linear(5, bias=False),
        "13": Activation(maximum=4.0),
    }
    assert {name: network.layers[name].operator for name in expected} == expected
    assert "7" not in network.layers
    assert network.parameter_count == parameters(module)


@pytest.mark.parametrize(
    ("build", "shape", "expected"),
    [
        (lambda x: functional.relu(x), (4,), [Activation()]),
        (lambda x: x.relu_(), (4,), [Activation()]),
        (lambda x: functional.max_pool2d(x, 3, 2, 1, 1, True), (2, 6, 6),
         [MaxPool((3, 3), (2, 2), (1, 1, 1, 1), ceil=True)]),
        (lambda x: functional.avg_pool2d(x, 2), (2, 6, 6), [AveragePool((2, 2), (2, 2))]),
        (lambda x: functional.adaptive_avg_pool2d(x, (2, 3)), (2, 6, 6),
         [AveragePool((3, 2), (3, 2))]),
        (lambda x: functional.adaptive_avg_pool2d(x, 6), (2, 6, 6), []),
        (lambda x: functional.dropout(x, 0.2, training=True), (4,), [Dropout(0.2)]),
        (lambda x: x.mean([2, 3]), (2, 6, 6), [GlobalAveragePool(), Flatten()]),
        (lambda x: torch.mean(x, (-1, -2), keepdim=True), (2, 6, 6), [GlobalAveragePool()]),
        (lambda x: torch.flatten(x, 1), (2, 6, 6), [Flatten()]),
        (lambda x: x.reshape(-1, 4, 18), (2, 6, 6), [Reshape((4, 18))]),
        (lambda x: x.view(x.shape[0], -1).unsqueeze(2), (2, 6, 6), [Flatten(), Reshape((72, 1))]),
    ],
)  # fmt: skip
def test_functions_and_methods(build, shape, expected) -> None:
    class Module(nn.Module):
        def forward(self, x):
            return build(x) if expected else functional.relu(build(x))

    found = operators(import_torch(Module(), shape))
    assert found == (expected or [Activation()])


def test_branches_are_joined() -> None:
    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 2, 1)
            self.gate = nn.AdaptiveAvgPool2d(1)
            self.unused = nn.Linear(2, 2)

        def forward(self, x):
            x = torch.cat([self.left(x), self.right(x)], 1)
            return torch.add(x * self.gate(x), x)

    network = import_torch(Module(), (3, 5, 5), name="gated")
    assert [type(o).__name__ for o in operators(network)] == [
        "Convolution", "Convolution", "Concat", "GlobalAveragePool", "Multiply", "Add",
    ]  # fmt: skip
    assert network.shape_of(network.output) == (6, 5, 5)


class Forward(nn.Module):
    """A module of one function."""

    def __init__(self, function, *modules):
        super().__init__()
        self.parts = nn.ModuleList(modules)
        self.scale = nn.Parameter(torch.ones(4))
        self._function = function

    def forward(self, x):
        return self._function(self, x)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.SiLU()), "'1': requires an operator .* module SiLU$"),
        (nn.Sequential(nn.LayerNorm(4)), "'0': .* got the module LayerNorm$"),
        (Forward(lambda m, x: torch.sigmoid(x)), "'sigmoid': .* got the function sigmoid$"),
        (Forward(lambda m, x: x.tanh()), "'tanh': .* got the function tanh$"),
        (Forward(lambda m, x: x * m.scale), "'scale': a tensor of the module's own must belong"),
        (Forward(lambda m, x: x + 1), "'add': every operand must depend .* and 1 does not$"),
        (Forward(lambda m, x: torch.add(x, x, alpha=2)), "'add': a sum must have no factor"),
        (Forward(lambda m, x: m.parts[0](m.parts[0](x)), nn.Linear(4, 4)),
         "'parts.0': a layer with weights must be called once"),
        (Forward(lambda m, x: x if x.sum() > 0 else -x), "requires a forward pass that torch.fx"),
        (Forward(lambda m, x: (x, x)), "requires one tensor as its output"),
        (Forward(lambda m, x: x.view(1, -1)), "'view': the batch must stay dimension 0"),
        (Forward(lambda m, x: torch.cat([x, x])), "'cat': tensors must not be joined along the b"),
        (Forward(lambda m, x: x.mean(1)), "'mean': a mean must be of height and width, not of 1$"),
        (nn.Sequential(nn.BatchNorm1d(4, affine=False)), "'0': a normalisation must have gamma"),
        (nn.Sequential(nn.Linear(5, 2)), r"torch must accept samples of shape \(4,\), got: "),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_is_named(module: nn.Module, message: str) -> None:
    with pytest.raises(InputError, match=rf"^PyTorch module '\w+'.*{message}") as refusal:
        import_torch(module, (4,))
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 400


def test_other_refusals() -> None:
    with pytest.raises(InputError, match=r"or a torch\.nn\.Module, not int$"):
        import_torch(3, (4,))
    with pytest.raises(InputError, match=r"^network 'Linear', layer 'input': a shape must have"):
        import_torch(nn.Linear(2, 2), (0,))

    class Two(nn.Module):
        def forward(self, x, y=None):
            return x if y is None else x + y

    # A second one stands for itself while it is traced.
    with pytest.raises(InputError, match=r"'Two'(, 'add')?: "):
        import_torch(Two(), (4,))

    class Empty(nn.Module):
        def forward(self):
            return torch.ones(3, 2)

    with pytest.raises(InputError, match=r"'Empty': "):
        import_torch(Empty(), (4,))


def test_nothing_of_the_module_changes() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    import_torch(module, (1, 4, 4))
    assert module.training
    assert all((before[name] == value).all() for name, value in module.state_dict().items())
    assert next(module.parameters()).device.type == "cpu"


def test_torch_is_not_imported_before_it_is_needed() -> None:
    code = "import golden.torch_import, eoq, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_without_torch_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        InputError, match=r"^network must be .* \(the extra eoqkit\[torch\]\), not object$"
    ):
        import_torch(object(), (4,))
