"""The network an ONNX graph becomes, while its nodes are read."""

from collections.abc import Mapping
from dataclasses import dataclass

from golden.network import Network, Operator, Shape, check_shape
from golden.onnx_constants import Constant
from golden.onnx_graph import Node

__all__ = ["Builder", "Data", "Pending", "Shuffle", "Value", "planes"]


@dataclass(frozen=True)
class Data:
    """A value that depends on the network's input: the output of a layer, without the batch.

    `sole` tells that no other value of the graph stands for the same layer and is read as well.
    """

    layer: str
    shape: Shape
    sole: bool = True


@dataclass(frozen=True)
class Shuffle:
    """Groups and channels transposed: half of a channel shuffle, usable by a Reshape only."""

    source: Data
    groups: int
    shape: Shape


Value = Data | Shuffle | Constant


@dataclass
class Pending:
    """A layer that a later node may still complete, as an Add completes a convolution's bias."""

    operator: Operator
    inputs: tuple[Data, ...]


class Builder:
    """The network so far: layers by name, and the value of every name in the graph.

    Parameters
    ----------
    batch:
        Size of dimension 0.
    opset:
        Version of ONNX's operator set.
    uses:
        How often each value of the graph is read.
    """

    def __init__(self, batch: int, opset: int, uses: Mapping[str, int]) -> None:
        self.batch = batch
        self.opset = opset
        self.uses = uses
        self.values: dict[str, Value] = {}
        self.layers: dict[str, Pending] = {}
        self._copies: dict[str, int] = {}

    def append(self, node: Node, operator: Operator, *inputs: Data, suffix: str = "") -> Data:
        """Add a layer under the node's name, made unique if it is not."""
        shape = check_shape(operator.infer(*(i.shape for i in inputs)))
        wanted = name = node.name + suffix
        while name == "input" or name in self.layers:
            self._copies[wanted] = self._copies.get(wanted, 1) + 1
            name = f"{wanted}_{self._copies[wanted]}"
        self.layers[name] = Pending(operator, inputs)
        return Data(name, shape)

    def data(self, node: Node, index: int = 0) -> Data:
        """Return an operand that must depend on the network's input."""
        value = self.values.get(node.inputs[index]) if index < len(node.inputs) else None
        if isinstance(value, Shuffle):
            raise ValueError(
                f"input {index} must not be a transposed tensor; "
                "only a channel shuffle (Reshape, Transpose, Reshape) may transpose"
            )
        if not isinstance(value, Data):
            raise ValueError(f"input {index} must depend on the network's input, and does not")
        return value

    def given(self, node: Node, index: int) -> Constant | None:
        """Return an optional operand that must not depend on the network's input."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        value = self.values[node.inputs[index]]
        if not isinstance(value, Constant):
            raise ValueError(f"input {index} must be a weight or constant, not computed from data")
        return value

    def constant(self, node: Node, index: int) -> Constant:
        """Return a required operand that must not depend on the network's input."""
        value = self.given(node, index)
        if value is None:
            raise ValueError(f"requires input {index}, and has {len(node.inputs)}")
        return value

    def only_use(self, node: Node, index: int) -> bool:
        """Tell whether nothing else reads an operand, which then may become something else."""
        name = node.inputs[index]
        return self.uses[name] == 1 and self.data(node, index).sole

    def set(self, node: Node, value: Value) -> None:
        """Remember a node's output."""
        if isinstance(value, Data):
            for name in filter(None, node.inputs):
                source = self.values[name]
                if isinstance(source, Data) and source.layer == value.layer:
                    sole = source.sole and self.uses[name] == 1
                    value = Data(value.layer, value.shape, sole)
        self.values[node.outputs[0]] = value

    def network(self, name: str, shape: Shape, output: Data) -> Network:
        """Return the layers that the output depends on, in order."""
        needed = {output.layer}
        for layer, pending in reversed(self.layers.items()):
            if layer in needed:
                needed.update(i.layer for i in pending.inputs)
        result = Network(name, shape)
        for layer, pending in self.layers.items():
            if layer in needed:
                result.add(layer, pending.operator, *(i.layer for i in pending.inputs))
        return result


def planes(shape: Shape) -> tuple[int, int]:
    """Return height and width of a sample that has them."""
    if len(shape) != 3:
        raise ValueError(
            f"input must be (batch, channels, height, width), and has {shape} a sample"
        )
    return shape[1], shape[2]
