"""Fixup: a residual network without normalisation, rewritten on the graph.

Follows Zhang, Dauphin and Ma, "Fixup Initialization" (arXiv 1901.09321), rule 3: every residual
branch gets one scalar multiplier, and a scalar bias stands before each convolution, linear layer
and element-wise activation. Initial values belong to training, not to the graph.

Our choices, where the paper has no rule for a general graph: what counts as a branch (below), which
of several weighted paths is the shortcut, what takes a normalisation's place outside all branches
(one scalar bias, or nothing behind a layer with biases of its own), and that local response
normalisation is dropped as well, because int8 hardware for EOQ has no divider.
"""

from dataclasses import dataclass, field

from golden.network import (
    Add,
    Convolution,
    Layer,
    Linear,
    LocalResponseNormalization,
    Network,
    Normalization,
    Operator,
    ScalarBias,
    ScalarMultiplier,
)

__all__ = ["fixup"]

_NORMALIZATIONS = (Normalization, LocalResponseNormalization)


def fixup(network: Network) -> Network:
    """Return the network without normalisation, with Fixup's scalars in its place.

    A residual branch is what lies between a fork and an `Add`: the ancestors of one of the join's
    inputs that are not ancestors of all of them. The input whose branch has the fewest
    convolutions, the last of equals, is the shortcut and gets no scalars. Every other branch gets

    - a scalar bias before each convolution (b1a, b2a in the paper's figure 1),
    - one after each convolution but the last, unless it has biases of its own (b1b),
    - one multiplier at the end, and one bias behind the join (m, b2b).

    A network with such branches also gets a bias before its classifier. A network without a
    normalisation is returned as it is. New layers are named after the one beside them, with
    `.bias_in`, `.bias_out`, `.multiplier` or `.bias`.
    """
    if not any(isinstance(layer.operator, _NORMALIZATIONS) for layer in network):
        return network
    return _rebuild(network, _plan(network))


@dataclass
class _Plan:
    """Layers of the original network around which something happens."""

    dropped: set[str] = field(default_factory=set)
    """Normalisations that leave nothing behind."""
    bias_in: set[str] = field(default_factory=set)
    bias_out: set[str] = field(default_factory=set)
    multiplied: set[tuple[str, int]] = field(default_factory=set)
    """(join, position among its inputs) of every residual branch."""


class _Ancestors:
    """Sets of layers as integers, one bit a layer: set algebra that stays fast at 10,000 layers."""

    def __init__(self, network: Network) -> None:
        self.names = ["input", *network.layers]
        self.of = {"input": 1}
        for index, layer in enumerate(network, start=1):
            union = 1 << index
            for name in layer.inputs:
                union |= self.of[name]
            self.of[layer.name] = union

    def kind(self, network: Network, *kinds: type[Operator]) -> int:
        """Set of the layers whose operator is of one of these kinds."""
        layers = enumerate(network, start=1)
        return sum(1 << index for index, layer in layers if isinstance(layer.operator, kinds))

    def members(self, group: int) -> list[str]:
        """Names in a set."""
        found = []
        while group:
            lowest = group & -group
            found.append(self.names[lowest.bit_length() - 1])
            group ^= lowest
        return found


def _plan(network: Network) -> _Plan:
    plan = _Plan()
    ancestors = _Ancestors(network)
    convolutions = ancestors.kind(network, Convolution)
    normalizations = ancestors.kind(network, *_NORMALIZATIONS)
    # Joins come in topological order, so a branch inside a branch is claimed by its own join.
    claimed = 0
    for layer in network:
        if not isinstance(layer.operator, Add) or len(layer.inputs) < 2:
            continue
        sets = [ancestors.of[name] for name in layer.inputs]
        common = sets[0]
        for other in sets:
            common &= other
        branches = [s & ~common for s in sets]
        counts = [(branch & convolutions).bit_count() for branch in branches]
        if not any(counts):
            continue
        shortcut = max(range(len(counts)), key=lambda i: (-counts[i], i))
        for position, branch in enumerate(branches):
            inside = branch & ~claimed
            claimed |= branch
            plan.dropped.update(ancestors.members(inside & normalizations))
            if position == shortcut:
                continue
            plan.multiplied.add((layer.name, position))
            last = _last_convolutions(network, layer.inputs[position])
            for name in ancestors.members(inside & convolutions):
                plan.bias_in.add(name)
                if name not in last and not _has_bias(network.layers[name]):
                    plan.bias_out.add(name)
        plan.bias_out.add(layer.name)
    if plan.multiplied:
        classifiers = [layer.name for layer in network if isinstance(layer.operator, Linear)]
        plan.bias_in.update(classifiers[-1:])
    return plan


def _last_convolutions(network: Network, end: str) -> set[str]:
    """Convolutions from which `end` is reached without passing another."""
    found, seen, pending = set(), set(), [end]
    while pending:
        name = pending.pop()
        if name == "input" or name in seen:
            continue
        seen.add(name)
        layer = network.layers[name]
        if isinstance(layer.operator, Convolution):
            found.add(name)
        else:
            pending.extend(layer.inputs)
    return found


def _has_bias(layer: Layer) -> bool:
    return "bias" in layer.parameters or isinstance(layer.operator, ScalarBias)


def _rebuild(network: Network, plan: _Plan) -> Network:
    result = Network(network.name, network.input_shape)
    renamed = {"input": "input"}

    def fresh(name: str) -> str:
        while name in network.layers or name in result.layers:
            name += "_"
        return name

    for layer in network:
        inputs = [renamed[name] for name in layer.inputs]
        operator = layer.operator
        if isinstance(operator, _NORMALIZATIONS):
            (source,) = inputs
            bias = (
                isinstance(operator, Normalization)
                and layer.name not in plan.dropped
                and (source == "input" or not _has_bias(result.layers[source]))
            )
            if bias:
                source = result.add(fresh(f"{layer.name}.bias"), ScalarBias(), source)
            renamed[layer.name] = source
            continue
        if layer.name in plan.bias_in:
            inputs[0] = result.add(fresh(f"{layer.name}.bias_in"), ScalarBias(), inputs[0])
        for position in range(len(inputs)):
            if (layer.name, position) in plan.multiplied:
                name = fresh(f"{inputs[position]}.multiplier")
                inputs[position] = result.add(name, ScalarMultiplier(), inputs[position])
        renamed[layer.name] = result.add(layer.name, operator, *inputs)
        if layer.name in plan.bias_out:
            name = fresh(f"{layer.name}.bias_out")
            renamed[layer.name] = result.add(name, ScalarBias(), layer.name)
    return result
