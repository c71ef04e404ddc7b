"""Every variant of the ablation is in force inside its block, and only there."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import golden.layers
from golden import data, trainer, zoo
from golden.learner import IntegerLearner, sha256

FOLDER = Path(__file__).parents[2] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def variants() -> Iterator[ModuleType]:
    yield load("variants")
    del sys.modules["variants"]


def digest(digits: data.Dataset) -> str:
    """What a few steps with a schedule leave, by way of the loop that training takes."""
    few = data.make_dataset("few", digits.train[slice(160)], digits.test, digits.test)
    network = zoo.resnet8(input_shape=(1, 8, 8))
    return trainer.train(network, few, epochs=4, batch=16, seed=1).parameters_sha256


NAMES = [name for name in load("variants").VARIANTS if name != "multiplier-fixed-exponent"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_variant_changes_what_is_trained_and_leaves_no_trace(
    name: str, variants: ModuleType
) -> None:
    digits = data.load("digits")
    recipe = digest(digits)
    with variants.VARIANTS[name].make():
        varied = digest(digits)
    assert (varied == recipe) == (name == "eoq")
    assert digest(digits) == recipe


def test_a_fixed_exponent_leaves_little_of_a_small_multiplier(variants: ModuleType) -> None:
    """Multipliers begin at one, where both are the same."""
    small = np.array([645])
    assert golden.layers.used_multiplier(small) == (np.array([81]), 10)
    with variants.VARIANTS["multiplier-fixed-exponent"].make():
        assert golden.layers.used_multiplier(small) == (np.array([5]), 6)


@pytest.mark.slow
def test_unsigned_activations_are_products_of_9_bits(variants: ModuleType) -> None:
    """The recipe's own step, where activations happen to need 7 bits only."""
    digits = data.load("digits")
    it = IntegerLearner(zoo.resnet8(input_shape=(1, 8, 8)), digits, 0)
    other = IntegerLearner(zoo.resnet8(input_shape=(1, 8, 8)), digits, 0)
    for step in range(3):
        part = digits.train[slice(16 * step, 16 * step + 16)]
        it.train(part, 0)
        with variants.VARIANTS["activation-unsigned"].make():
            other.train(part, 0)
    assert sha256(it.parameters()) != sha256(other.parameters())
    names = [n for n in it.parameters() if n.endswith("weight")]
    one, two = (
        np.concatenate([x.parameters()[n].ravel().astype(float) for n in names])
        for x in (it, other)
    )
    # Finer, not different.
    assert np.corrcoef(one, two)[0, 1] > 0.99
