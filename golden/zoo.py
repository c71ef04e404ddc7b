"""The built-in networks, from a two-layer perceptron to ResNet-50.

They are named without a normalisation: a `Normalization` layer stands where batch normalisation
stands in the original, and the scheme decides what takes its place. Every function takes the shape
of one sample, (channels, height, width), and the number of classes; the defaults are those of the
data set the network was made for.
"""

from collections.abc import Callable

from golden.network import (
    Activation,
    Add,
    AveragePool,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Linear,
    MaxPool,
    Network,
    Normalization,
    Pad,
    Shape,
)

__all__ = [
    "BUILT_IN",
    "alexnet",
    "lenet5",
    "mlp",
    "mobilenetv2",
    "resnet8",
    "resnet8_narrow",
    "resnet18",
    "resnet20",
    "resnet34",
    "resnet50",
    "vgg11",
    "vgg16",
]

IMAGENET: Shape = (3, 224, 224)
CIFAR: Shape = (3, 32, 32)


def _convolution(
    out_channels: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    padding: int | None = None,
    groups: int = 1,
    bias: bool = False,
) -> Convolution:
    """Return a square convolution; without `padding` an odd kernel keeps the plane's size."""
    padding = kernel // 2 if padding is None else padding
    return Convolution(
        (kernel, kernel),
        (stride, stride),
        (padding,) * 4,
        out_channels=out_channels,
        groups=groups,
        bias=bias,
    )


def _max_pool(kernel: int, stride: int, padding: int = 0) -> MaxPool:
    return MaxPool((kernel, kernel), (stride, stride), (padding,) * 4)


def mlp(input_shape: Shape = (1, 8, 8), classes: int = 10, hidden: int = 32) -> Network:
    """Two linear layers with a normalisation between: the network of the co-simulated step."""
    network = Network("mlp", input_shape)
    network.add("flatten", Flatten())
    network.add("fc1", Linear(hidden))
    network.add("norm1", Normalization())
    network.add("relu1", Activation())
    network.add("fc2", Linear(classes))
    return network


def lenet5(
    input_shape: Shape = (1, 28, 28), classes: int = 10, *, normalized: bool = True
) -> Network:
    """LeNet-5 with ReLU, and with a normalisation in every hidden layer unless told otherwise.

    On planes smaller than 16 the second convolution is padded as the first is, so that 8x8 digits
    fit. With `normalized=False` and 28x28 it has the 61,706 parameters of the classic.
    """
    network = Network("lenet5", input_shape)
    small = min(network.input_shape[-2:]) < 16

    def hide(index: int) -> None:
        if normalized:
            network.add(f"norm{index}", Normalization())
        network.add(f"relu{index}", Activation())

    network.add("conv1", _convolution(6, 5, bias=True))
    hide(1)
    network.add("pool1", AveragePool((2, 2), (2, 2)))
    network.add("conv2", _convolution(16, 5, padding=2 if small else 0, bias=True))
    hide(2)
    network.add("pool2", AveragePool((2, 2), (2, 2)))
    network.add("flatten", Flatten())
    network.add("fc1", Linear(120))
    hide(3)
    network.add("fc2", Linear(84))
    hide(4)
    network.add("fc3", Linear(classes))
    return network


def _head(network: Network, classes: int, dropout: float = 0.0) -> Network:
    """Append what ends a residual network: the mean over the plane and one linear layer."""
    network.add("pool", GlobalAveragePool())
    network.add("flatten", Flatten())
    if dropout:
        network.add("dropout", Dropout(dropout))
    network.add("fc", Linear(classes))
    return network


def _normalized(network: Network, name: str, suffix: str, convolution: Convolution) -> str:
    """Append a convolution and the normalisation behind it."""
    network.add(f"{name}conv{suffix}", convolution)
    return network.add(f"{name}norm{suffix}", Normalization())


def _join(network: Network, name: str, branch: str, shortcut: str) -> None:
    network.add(f"{name}add", Add(), branch, shortcut)
    network.add(f"{name}relu", Activation())


def _cifar_resnet(
    name: str, blocks: int, input_shape: Shape, classes: int, stem_stride: int | None, first: int
) -> Network:
    """Residual network of three stages whose channels double, without shortcut weights."""
    network = Network(name, input_shape)
    if stem_stride is None:
        grey = network.input_shape[0] == 1
        stem_stride = 2 if grey and min(network.input_shape[1:], default=0) > 16 else 1
    _normalized(network, "stem.", "", _convolution(first, 3, stem_stride))
    channels = first
    network.add("stem.relu", Activation())
    for stage, width in enumerate((first, 2 * first, 4 * first), start=1):
        for block in range(blocks):
            prefix = f"stage{stage}.{block}."
            source = network.output
            stride = 2 if width != channels else 1
            _normalized(network, prefix, "1", _convolution(width, 3, stride))
            network.add(f"{prefix}relu1", Activation())
            branch = _normalized(network, prefix, "2", _convolution(width))
            shortcut = source
            if stride == 2:
                # A window of one position takes every second value and computes nothing.
                subsample = AveragePool((1, 1), (2, 2))
                shortcut = network.add(f"{prefix}subsample", subsample, source)
                widen = Pad((width - channels, 0, 0, 0, 0))
                shortcut = network.add(f"{prefix}widen", widen, shortcut)
            _join(network, prefix, branch, shortcut)
            channels = width
    return _head(network, classes)


def resnet8(
    input_shape: Shape = CIFAR, classes: int = 10, *, stem_stride: int | None = None,
    width: int = 16,
) -> Network:  # fmt: skip
    """CIFAR-style residual network, one block a stage, with zero-padded shortcuts.

    `stem_stride` is 2 for grey images larger than 16x16 (Fashion-MNIST), otherwise 1; `width` is
    the first stage's channels.
    """
    return _cifar_resnet("resnet8", 1, input_shape, classes, stem_stride, width)


def resnet8_narrow(input_shape: Shape = CIFAR, classes: int = 10) -> Network:
    """`resnet8` with stages of 8, 16 and 32 channels: a quarter of its work, for simulation."""
    return _cifar_resnet("resnet8_narrow", 1, input_shape, classes, None, 8)


def resnet20(
    input_shape: Shape = CIFAR, classes: int = 10, *, stem_stride: int | None = None,
    width: int = 16,
) -> Network:  # fmt: skip
    """CIFAR-style residual network, three blocks a stage; otherwise as `resnet8`."""
    return _cifar_resnet("resnet20", 3, input_shape, classes, stem_stride, width)


def _basic(network: Network, prefix: str, width: int, stride: int) -> str:
    _normalized(network, prefix, "1", _convolution(width, 3, stride))
    network.add(f"{prefix}relu1", Activation())
    return _normalized(network, prefix, "2", _convolution(width))


def _bottleneck(network: Network, prefix: str, width: int, stride: int) -> str:
    _normalized(network, prefix, "1", _convolution(width // 4, 1))
    network.add(f"{prefix}relu1", Activation())
    # Version 1.5: the 3x3 convolution has the stride, not the 1x1 before it.
    _normalized(network, prefix, "2", _convolution(width // 4, 3, stride))
    network.add(f"{prefix}relu2", Activation())
    return _normalized(network, prefix, "3", _convolution(width, 1))


def _imagenet_resnet(
    name: str,
    branch: Callable[[Network, str, int, int], str],
    blocks: tuple[int, int, int, int],
    expansion: int,
    input_shape: Shape,
    classes: int,
) -> Network:
    network = Network(name, input_shape)
    _normalized(network, "stem.", "", _convolution(64, 7, 2))
    network.add("stem.relu", Activation())
    network.add("stem.pool", _max_pool(3, 2, 1))
    for stage, count in enumerate(blocks, start=1):
        width = 32 * 2**stage * expansion
        for block in range(count):
            prefix = f"stage{stage}.{block}."
            source = network.output
            stride = 2 if stage > 1 and block == 0 else 1
            end = branch(network, prefix, width, stride)
            shortcut = source
            if network.shape_of(source) != network.shape_of(end):
                shortcut = f"{prefix}shortcut."
                network.add(f"{shortcut}conv", _convolution(width, 1, stride), source)
                shortcut = network.add(f"{shortcut}norm", Normalization())
            _join(network, prefix, end, shortcut)
    return _head(network, classes)


def resnet18(input_shape: Shape = IMAGENET, classes: int = 1000) -> Network:
    """ResNet-18 as in torchvision."""
    return _imagenet_resnet("resnet18", _basic, (2, 2, 2, 2), 1, input_shape, classes)


def resnet34(input_shape: Shape = IMAGENET, classes: int = 1000) -> Network:
    """ResNet-34 as in torchvision."""
    return _imagenet_resnet("resnet34", _basic, (3, 4, 6, 3), 1, input_shape, classes)


def resnet50(input_shape: Shape = IMAGENET, classes: int = 1000) -> Network:
    """ResNet-50 version 1.5 as in torchvision."""
    return _imagenet_resnet("resnet50", _bottleneck, (3, 4, 6, 3), 4, input_shape, classes)


def _classifier(network: Network, classes: int) -> Network:
    """Append VGG's two hidden layers of 4096 and the output layer."""
    network.add("flatten", Flatten())
    for index in (1, 2):
        network.add(f"fc{index}", Linear(4096))
        network.add(f"fc{index}.relu", Activation())
        network.add(f"fc{index}.dropout", Dropout())
    network.add("fc3", Linear(classes))
    return network


def _vgg(name: str, depths: tuple[int, ...], input_shape: Shape, classes: int) -> Network:
    network = Network(name, input_shape)
    for stage, (depth, width) in enumerate(
        zip(depths, (64, 128, 256, 512, 512), strict=True), start=1
    ):
        for block in range(depth):
            _normalized(network, f"stage{stage}.{block}.", "", _convolution(width, bias=True))
            network.add(f"stage{stage}.{block}.relu", Activation())
        network.add(f"stage{stage}.pool", _max_pool(2, 2))
    return _classifier(network, classes)


def vgg11(input_shape: Shape = IMAGENET, classes: int = 1000) -> Network:
    """VGG-11 as torchvision's vgg11_bn, whose convolutions keep their biases."""
    return _vgg("vgg11", (1, 1, 2, 2, 2), input_shape, classes)


def vgg16(input_shape: Shape = IMAGENET, classes: int = 1000) -> Network:
    """VGG-16 as torchvision's vgg16_bn, whose convolutions keep their biases."""
    return _vgg("vgg16", (2, 2, 3, 3, 3), input_shape, classes)


def mobilenetv2(input_shape: Shape = IMAGENET, classes: int = 1000) -> Network:
    """MobileNetV2 of width 1 as in torchvision."""
    network = Network("mobilenetv2", input_shape)

    def stage(name: str, convolution: Convolution) -> None:
        _normalized(network, name, "", convolution)
        network.add(f"{name}relu6", Activation(maximum=6.0))

    stage("stem.", _convolution(32, 3, 2))
    channels, index = 32, 0
    # Expansion, output channels, blocks, stride of the first: table 2 of arXiv 1801.04381.
    for expansion, width, count, first_stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for block in range(count):
            index += 1
            prefix, source = f"block{index}.", network.output
            stride = first_stride if block == 0 else 1
            inner = channels * expansion
            if expansion > 1:
                stage(f"{prefix}expand.", _convolution(inner, 1))
            stage(f"{prefix}depthwise.", _convolution(inner, 3, stride, groups=inner))
            end = _normalized(network, f"{prefix}project.", "", _convolution(width, 1))
            if stride == 1 and channels == width:
                network.add(f"{prefix}add", Add(), end, source)
            channels = width
    stage("last.", _convolution(1280, 1))
    return _head(network, classes, dropout=0.2)


def alexnet(input_shape: Shape = IMAGENET, classes: int = 1000) -> Network:
    """AlexNet as in torchvision, one column and no normalisation."""
    network = Network("alexnet", input_shape)
    convolutions = (
        _convolution(64, 11, 4, padding=2, bias=True),
        _convolution(192, 5, bias=True),
        _convolution(384, bias=True),
        _convolution(256, bias=True),
        _convolution(256, bias=True),
    )
    for index, convolution in enumerate(convolutions, start=1):
        network.add(f"conv{index}", convolution)
        network.add(f"relu{index}", Activation())
        if index in (1, 2, 5):
            network.add(f"pool{index}", _max_pool(3, 2))
    network.add("flatten", Flatten())
    for index in (6, 7):
        network.add(f"dropout{index}", Dropout())
        network.add(f"fc{index}", Linear(4096))
        network.add(f"relu{index}", Activation())
    network.add("fc8", Linear(classes))
    return network


BUILT_IN: dict[str, Callable[..., Network]] = {
    function.__name__: function
    for function in (
        mlp,
        lenet5,
        resnet8,
        resnet8_narrow,
        resnet20,
        resnet18,
        resnet34,
        resnet50,
        vgg11,
        vgg16,
        mobilenetv2,
        alexnet,
    )
}
"""Every built-in network by the name the command line knows it by."""
