"""A network learns on the simulated core; golden is beside it."""

from pathlib import Path

import numpy as np
import pytest

from cosim import core_training
from cosim.core_training import train_on_core
from golden import data, trainer
from golden.data import Dataset, Images
from golden.errors import CheckError, InputError
from golden.zoo import mlp


def few(of_each: int) -> Dataset:
    """So many digits of each class."""
    digits = data.load("digits")
    classes = [np.flatnonzero(digits.train.labels == c)[:of_each] for c in range(10)]
    picked = np.concatenate(classes)
    part = Images(digits.train.pixels[picked], digits.train.labels[picked])
    return data.make_dataset("few", part, digits.validation, digits.test)


def network(dataset: Dataset):
    return mlp(dataset.shape, dataset.classes, hidden=12)


@pytest.mark.parametrize(
    ("of_each", "simulator"), [(1, "icarus"), pytest.param(10, "verilator", marks=pytest.mark.slow)]
)
def test_it_learns_what_golden_learns_and_goes_on_where_it_was(
    tmp_path: Path, of_each: int, simulator: str
) -> None:
    dataset = few(of_each)
    told = []
    settings = {"array": (2, 3), "simulator": simulator, "batch": 8}
    # The schedule halves the rate within two epochs: programs of several rates are run.
    first = train_on_core(
        network(dataset), dataset, epochs=2, folder=tmp_path,
        report=lambda *what: told.append(what), **settings,
    )  # fmt: skip
    alone = trainer.train(network(dataset), dataset, epochs=2, batch=8)
    assert first.outcome == alone
    assert [epoch.validation_accuracy for epoch in first.epochs] == alone.curve
    assert first.epochs[-1].parameters_sha256 == alone.parameters_sha256
    assert [what[:2] for what in told] == [(1, 2), (2, 2)]
    again = train_on_core(network(dataset), dataset, epochs=2, folder=tmp_path, **settings)
    assert again.outcome.resumed == 2
    assert not again.epochs
    assert again.outcome.parameters_sha256 == alone.parameters_sha256


def test_parameters_that_are_not_goldens_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = few(1)
    keep = core_training._keep

    def wrong(core, program, ran):
        keep(core, program, ran)
        weight = core.model.layers["fc1"].learned["weight"].values
        weight[0, 0] = -weight[0, 0] or 1

    monkeypatch.setattr(core_training, "_keep", wrong)
    with pytest.raises(CheckError, match="epoch 1: the core's parameters are not golden's"):
        train_on_core(network(dataset), dataset, array=(2, 3), simulator="icarus", epochs=1,
                      batch=8)  # fmt: skip


def test_refusals() -> None:
    dataset = few(1)
    with pytest.raises(InputError, match="epochs must be at least 1, not 0"):
        train_on_core(network(dataset), dataset, array=(2, 3), epochs=0)
    with pytest.raises(InputError, match="batch must be at most 10 images, not 32"):
        train_on_core(network(dataset), dataset, array=(2, 3), epochs=1, batch=32)
