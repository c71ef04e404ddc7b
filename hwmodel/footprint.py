"""Memory over the course of one training step, by walking it forward and backward.

A tensor lives from the layer that makes it to its last reader: forward, or, where the backward pass
needs it, backward. What is needed: the input of every weighted layer; what a normalisation
normalised (x-hat overwrites it); the sign of an activation's result, from the stored result where
that is kept anyway and otherwise one bit an element; the place of each maximum of a pooling window;
both factors of a product. Errors live from the first layer that contributes to the last that reads.

Assumptions. Element-wise layers work in place where their operand dies. Biases, activations and
reshapes pass by and have no tensor of their own. The whole batch goes through layer by layer. A
weight gradient is summed in 32 bits and lives until its layer's update (`Conventions.gradients`).
Where exponents are measured, 32-bit sums wait for their maximum: a sample's, a batch's, or none
(`Conventions.exponents`). No allocation is ever fragmented.

With `Conventions.recompute` the network is cut where one tensor is all that goes on. Of every
segment but the last only that tensor is kept; before its backward pass the segment runs forward
again. Of the cuts into a few even numbers of segments the one with the lowest peak is taken.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from golden.network import Add, Concat, GlobalAveragePool, GlobalMaxPool, Normalization
from hwmodel.normalization import statistics_count
from hwmodel.recomputation import cuts
from hwmodel.step import Step
from hwmodel.storage import CARRIERS, ELEMENTWISE, Storage, mask_bits, needs, octets
from hwmodel.updates import parameter_formats

__all__ = [
    "KINDS",
    "Moment",
    "candidate_segments",
    "footprint",
    "parameter_bytes",
    "peak",
    "recomputed_layers",
    "walk",
]

KINDS = (
    "weights",
    "momentum",
    "activations",
    "gradients",
    "masks",
    "statistics",
    "exponents",
    "accumulators",
)

Live = Callable[[str, int, int, int], None]
"""(kind, first moment, last moment, bytes)."""


class Moment(NamedTuple):
    """Bytes live while one layer works, by kind."""

    layer: str
    phase: str
    weights: int
    momentum: int
    activations: int
    gradients: int
    masks: int
    statistics: int
    exponents: int
    accumulators: int

    @property
    def total(self) -> int:
        """All kinds."""
        return sum(self[2:])


@dataclass
class _Times:
    """When each layer works: forward, at the loss, again where it is recomputed, backward."""

    forward: dict[str, int] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    backward: dict[str, int] = field(default_factory=dict)
    places: list[tuple[str, str]] = field(default_factory=list)
    """Layer and phase of each moment."""


def _times(step: Step, segments: Sequence[Sequence[str]]) -> _Times:
    found = _Times()

    def visit(names: Sequence[str], phase: str, when: dict[str, int]) -> None:
        for name in names:
            when[name] = len(found.places)
            found.places.append((name, phase))

    for segment in segments:
        visit(segment, "forward", found.forward)
    found.places.append(("loss", "forward"))
    for segment in reversed(segments):
        if segment is not segments[-1]:
            visit(segment, "recomputation", found.again)
        visit(segment[::-1], "backward", found.backward)
    return found


def footprint(step: Step) -> list[Moment]:
    """Bytes live at every layer of the step, forward, at the loss, and backward.

    The layers' own parameters and their momentum live throughout.
    """
    return walk(step, _segments(step))


def recomputed_layers(step: Step) -> frozenset[str]:
    """Layers that run forward twice; none unless `Conventions.recompute` says so."""
    return frozenset(name for segment in _segments(step)[:-1] for name in segment)


@lru_cache(maxsize=64)
def _segments(step: Step) -> tuple[tuple[str, ...], ...]:
    """Of all candidates the cut with the lowest peak, the coarsest of equals."""
    candidates = candidate_segments(step)
    if len(candidates) == 1:
        return candidates[0]
    return min(candidates, key=lambda segments: peak(walk(step, segments)).total)


def candidate_segments(step: Step) -> list[tuple[tuple[str, ...], ...]]:
    """The whole network in one piece, and with `Conventions.recompute` the cuts that are tried."""
    names = tuple(layer.name for layer in step.network)
    if step.conventions.recompute == "none":
        return [(names,)]
    return [(names,), *cuts(step)]


def walk(step: Step, segments: Sequence[Sequence[str]]) -> list[Moment]:
    """Bytes live at every moment, for a network cut into such segments."""
    layers = list(step.network)
    times = _times(step, segments)
    length = len(times.places) + 1
    loss = len(layers)
    change = {kind: [0] * (length + 1) for kind in KINDS}

    def live(kind: str, first: int, last: int, size: int) -> None:
        """`size` bytes from `first` to `last`, both included."""
        if last >= first:
            change[kind][first] += size
            change[kind][last + 1] -= size

    storage = Storage(step)
    saved: dict[str, int] = {}
    for layer in layers:
        if layer.name in step.learned:
            for name in needs(storage, layer):
                saved[name] = max(saved.get(name, 0), times.backward[layer.name])
    kept = {"input", *(segment[-1] for segment in segments)}
    for name in kept:
        # All that is left of a segment: its last reader runs again before it goes backward.
        readers = [times.again[r] for r in step.consumers[name] if r in times.again]
        if readers:
            saved[name] = max(saved.get(name, 0), *readers)
    whole = {name: t for name, t in saved.items() if name in kept or name not in times.again}
    _tensors(step, storage, {"input": 0, **times.forward}, whole, loss, live)
    if times.again:
        inner = {name: t for name, t in times.again.items() if name not in kept}
        _tensors(step, storage, inner, saved, None, live)
    _errors(step, times.backward, live)
    for layer in layers:
        if layer.name not in step.learned:
            continue
        here = times.backward[layer.name]
        made = times.again.get(layer.name, times.forward[layer.name])
        masks = mask_bits(storage, layer, saved)
        live("masks", made, here, octets(masks * step.elements(layer.name)))
        gradient = sum(math.prod(shape) for shape in step.parameters[layer.name].values())
        live("gradients", here, here, 4 * gradient)
        if step.conventions.gradients == "step":
            bits = step.format("G", layer).bits
            live("gradients", here + 1, length - 1, octets(bits * gradient))
    _constant(step, live, length - 1)
    _waiting(step, times, live)
    return _moments(times.places, change)


def _tensors(
    step: Step, storage: Storage, made: Mapping[str, int], saved: Mapping[str, int],
    loss: int | None, live: Live,
) -> None:  # fmt: skip
    """Activations of one run through the layers in `made`, each from there to its last reader in
    the run, or as long as it is saved."""
    last_read = {name: t for name, t in made.items() if storage.stored(name) == name}
    done: dict[str, int] = {}
    for layer in reversed(list(step.network)):
        if layer.name not in made:
            continue
        # Sums that pass by are written by a later layer: until then a product reads its operand.
        followers = [done[r] for r in step.consumers[layer.name] if r in done]
        passes = not storage.stored(layer.name)
        done[layer.name] = max([made[layer.name], *(followers if passes else ())])
        in_place = isinstance(layer.operator, ELEMENTWISE)
        end = made[layer.name] if in_place else done[layer.name]
        for source in layer.inputs:
            root = storage.stored(source)
            if root in last_read:
                last_read[root] = max(last_read[root], end)
    if loss is not None:
        last_read[storage.stored(step.output) or step.output] = loss
    for name, first in made.items():
        if storage.stored(name) != name:
            continue
        last = saved.get(name, last_read.get(name, first))
        readers = [reader for reader in step.consumers[name] if reader in made]
        if name not in saved and readers and (loss is None or last < loss):
            # The last reader may write its result over this tensor.
            reader = step.network.layers[max(readers, key=lambda r: made[r])]
            in_place = isinstance(reader.operator, ELEMENTWISE)
            fits = storage.stored(reader.name) == reader.name
            if in_place and fits and storage.bytes(reader.name) <= storage.bytes(name):
                last = max(first, made[reader.name] - 1)
        live("activations", first, last, storage.bytes(name))


_ERROR_PASSES = (*CARRIERS, Add, Concat, GlobalAveragePool, GlobalMaxPool, Normalization)
"""Layers whose backward pass needs no new tensor: it masks, rescales or spreads in place."""


def _errors(step: Step, backward: dict[str, int], live: Live) -> None:
    """Each error from the first layer that contributes to it to the last that reads it.

    At a join the branches share one error; a normalisation would overwrite it, so there every
    branch but the first has a copy. At a fork the sum is made over the first contribution.
    """
    holder: dict[str, str] = {}
    lives: dict[str, list[int]] = {}
    for layer in reversed(list(step.network)):
        name = layer.name
        if name not in step.learned:
            continue
        sources = [step.network.layers[s] for s in step.error_sources[name]]
        times = [backward[s.name] for s in sources] or [len(step.network)]
        shared = [
            holder[s.name]
            for s in sources
            if isinstance(s.operator, _ERROR_PASSES)
            and not (step.normalizes and isinstance(s.operator, Add) and s.inputs[0] != name)
        ]
        if len(sources) == 1 and shared:
            holder[name] = shared[0]
        else:
            made = [t for s, t in zip(sources, times, strict=False) if holder[s.name] not in shared]
            holder[name] = name
            lives[name] = [min(made, default=max(times)), max(times)]
            for other in shared:
                lives[other][1] = max(lives[other][1], *times)
        span = lives[holder[name]]
        span[1] = max(span[1], backward[name])
    bits = step.scheme.formats["E"].bits
    for name, (first, last) in lives.items():
        live("gradients", first, last, octets(bits * step.elements(name)))


def parameter_bytes(step: Step) -> tuple[int, int]:
    """Bytes of weights and of momentum, which live throughout."""
    weights = momentum = 0
    for layer in step.network:
        for _, count, kept, _, moment in parameter_formats(step, layer):
            weights += count * kept
            momentum += count * moment
    return octets(weights), octets(momentum)


def _constant(step: Step, live: Live, last: int) -> None:
    """Parameters, momentum, statistics and exponents, which live throughout."""
    for kind, size in zip(("weights", "momentum"), parameter_bytes(step), strict=True):
        live(kind, 0, last, size)
    if step.normalizes:
        live("statistics", 0, last, octets(statistics_count(step) * step.scheme.statistics.bits))
    else:
        flow = step.dataflow
        tensors = len(flow.activations) + len(flow.errors)
        live("exponents", 0, last, octets(tensors * step.batch * step.scheme.exponent_bits))


def _waiting(step: Step, times: _Times, live: Live) -> None:
    """32-bit sums that wait for their maximum while a layer works."""
    if step.normalizes or step.conventions.exponents == "lagged":
        return
    share = step.batch if step.conventions.exponents == "sample" else 1
    flow = step.dataflow
    for names, when in (
        (flow.activations, times.forward),
        (flow.activations, times.again),
        (flow.errors, times.backward),
    ):
        for name in names:
            if name in when:
                live("accumulators", when[name], when[name], 4 * step.elements(name) // share)


def _moments(places: Sequence[tuple[str, str]], change: dict[str, list[int]]) -> list[Moment]:
    sizes = zip(*(accumulate(change[kind]) for kind in KINDS), strict=True)
    return [Moment(*place, *now) for place, now in zip(places, sizes, strict=False)]


def peak(moments: list[Moment]) -> Moment:
    """Moment at which most memory is live, the first of equals."""
    return max(moments, key=lambda m: m.total)
