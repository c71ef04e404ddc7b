"""A network as a chain of blocks: where one tensor alone carries everything from below to above.

Chen et al. (arXiv 2001.00254) look at a network as blocks in series. Our choice for a general
graph: a block begins at a convolution or linear layer, at a fork whose branches meet again, or at a
pool; layers that only scale, shift, cut or rearrange (activations, normalisations, Fixup's scalars)
belong to the block before them, and those before the first block to the first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from golden.errors import InputError
from golden.network import (
    AveragePool,
    Convolution,
    GlobalAveragePool,
    GlobalMaxPool,
    Layer,
    Linear,
    MaxPool,
    Network,
)

__all__ = ["Block", "find_blocks"]

_BEGINS = (Convolution, Linear, AveragePool, MaxPool, GlobalAveragePool, GlobalMaxPool)


@dataclass(frozen=True)
class Block:
    """Layers between two tensors.

    Members
    -------
    name:
        Of its first part: the layer's, or what the names of a fork's branches begin with.
    source:
        Name of the layer whose output it reads, or "input".
    layers:
        In order; the output of the last is the block's.
    """

    name: str
    source: str
    layers: tuple[Layer, ...]

    @property
    def output(self) -> str:
        """Name of the layer whose output is the block's."""
        return self.layers[-1].name


def find_blocks(network: Network) -> list[Block]:
    """Return the blocks of a network in order; each reads what the one before it gives.

    Layers that the output does not depend on are in none. Raises InputError for a network without
    layers.
    """
    blocks: list[Block] = []
    waiting: list[Layer] = []
    for segment in _segments(network):
        if blocks and not _begins(segment):
            last = blocks[-1]
            blocks[-1] = Block(last.name, last.source, (*last.layers, *segment))
        elif not _begins(segment):
            waiting.extend(segment)
        else:
            source = blocks[-1].output if blocks else "input"
            taken = {block.name for block in blocks}
            blocks.append(Block(_name(segment, taken), source, (*waiting, *segment)))
            waiting = []
    if waiting:
        blocks.append(Block(waiting[-1].name, "input", tuple(waiting)))
    if not blocks:
        raise InputError(f"network {network.name!r}: blocks require at least one layer, got none")
    return blocks


def _segments(network: Network) -> Iterator[list[Layer]]:
    """Cut the layers behind every tensor that is the only one still to be read."""
    needed = {network.output}
    for layer in reversed(list(network)):
        if layer.name in needed:
            needed.update(layer.inputs)
    last_reader = {name: layer.name for layer in network if layer.name in needed
                   for name in layer.inputs}  # fmt: skip
    alive = {"input"}
    segment: list[Layer] = []
    for layer in network:
        if layer.name not in needed:
            continue
        segment.append(layer)
        alive.difference_update([name for name in layer.inputs if last_reader[name] == layer.name])
        alive.add(layer.name)
        if alive == {layer.name}:
            yield segment
            segment = []


def _begins(segment: Sequence[Layer]) -> bool:
    return len(segment) > 1 or isinstance(segment[0].operator, _BEGINS)


def _name(segment: Sequence[Layer], taken: set[str]) -> str:
    if len(segment) == 1:
        return segment[0].name
    # Whole parts of a dotted name, not letters: stage1 and stage10 have nothing in common.
    levels = zip(*(layer.name.split(".")[:-1] for layer in segment), strict=False)
    name = ".".join(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))
    return name if name and name not in taken else segment[-1].name
