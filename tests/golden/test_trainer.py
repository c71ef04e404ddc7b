"""The loop: order, schedule, reproducibility, and checkpoints that are refused or continued."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from golden import checkpoint, data, float_learner, zoo
from golden.acceleration import LOOPS_VARIABLE, THREADS_VARIABLE
from golden.errors import InputError
from golden.learner import sha256
from golden.learners import LEARNERS, learner
from golden.matmul import MATMUL_VARIABLE, int8_product
from golden.network import Convolution, Flatten, GlobalAveragePool, Linear, Network
from golden.trainer import Outcome, annealing_shift, epoch_order, network_sha256, train


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


@pytest.fixture(scope="module")
def mlp() -> Network:
    return zoo.mlp(hidden=8)


def run(network: Network, digits: data.Dataset, folder: Path | None = None, **o: int) -> Outcome:
    return train(network, digits, folder=folder, **{"epochs": 3, "batch": 64, "seed": 1, **o})


def test_the_order_is_a_permutation_of_seed_and_epoch() -> None:
    orders = [epoch_order(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert (epoch_order(1, 1, 50) == orders[3]).all()


def test_the_learning_rate_halves_three_times() -> None:
    shifts = [annealing_shift(step, 20) for step in range(20)]
    assert shifts == [0] * 10 + [1] * 5 + [2] * 3 + [3] * 2


def test_two_runs_with_one_seed_are_one(digits: data.Dataset, mlp: Network) -> None:
    one, other, different = (run(mlp, digits, seed=seed) for seed in (5, 5, 6))
    assert one == other
    assert different.parameters_sha256 != one.parameters_sha256
    assert (one.steps, one.left_out, len(one.curve)) == (19, 41, 3)
    assert one.test_accuracy > 0.6


PATHS = [
    ("numpy", "float32", "1"), ("compiled", "int8", "1"), ("compiled", "int8", "2"),
    ("compiled", "float32", "3"),
]  # fmt: skip


@pytest.mark.slow
def test_every_path_and_thread_count_gives_the_same() -> None:
    # In processes of their own: a path is chosen once.
    program = (
        "import dataclasses\n"
        "from golden import data, zoo\n"
        "from golden.trainer import train\n"
        "digits = data.load('digits')\n"
        "digits = dataclasses.replace(digits, train=digits.train[:128], "
        "validation=digits.validation[:32], test=digits.test[:32])\n"
        "network = zoo.resnet8((1, 8, 8))\n"
        "print([train(network, digits, epochs=1, batch=b, seed=3).parameters_sha256"
        " for b in (1, 64)])\n"
    )
    found = {}
    for loops, product, threads in PATHS:
        if product == "int8" and int8_product() is None:
            continue
        chosen = {LOOPS_VARIABLE: loops, MATMUL_VARIABLE: product, THREADS_VARIABLE: threads}
        run = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | chosen, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        found[loops, product, threads] = run.stdout
    assert len(found) >= 2
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize("threads", ["0", "-1", "many", "1.5", "99999999999"])
def test_a_number_of_threads_that_is_none_is_refused(
    threads: str, digits: data.Dataset, mlp: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, threads)
    with pytest.raises(
        InputError, match=f"^EOQ_THREADS must be 1 to 1024 threads, not '{threads}'"
    ):
        run(mlp, digits)


class StoppedError(Exception):
    """The power went."""


def test_a_run_that_was_stopped_ends_the_same(
    digits: data.Dataset, mlp: Network, tmp_path: Path
) -> None:
    def stop(done: int, steps: int, accuracy: float | None) -> None:
        assert steps == 3 * 19
        assert (accuracy is None) == (done <= 19)
        if done == 30:
            raise StoppedError

    whole = run(mlp, digits)
    with pytest.raises(StoppedError):
        train(mlp, digits, epochs=3, batch=64, seed=1, folder=tmp_path, report=stop)
    continued = run(mlp, digits, tmp_path)
    assert continued.resumed == 1
    assert continued.parameters_sha256 == whole.parameters_sha256
    assert continued.curve == whole.curve
    finished = run(mlp, digits, tmp_path)
    assert finished.resumed == 3
    assert finished.test_accuracy == whole.test_accuracy
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE_NAME]


@pytest.fixture(scope="module")
def saved(digits: data.Dataset, mlp: Network, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("saved")
    run(mlp, digits, folder)
    return (folder / checkpoint.FILE_NAME).read_bytes()


@pytest.fixture
def folder(saved: bytes, tmp_path: Path) -> Path:
    (tmp_path / checkpoint.FILE_NAME).write_bytes(saved)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 2}, "seed must be 2, not 1; give another folder"),
        ({"batch": 32}, "batch must be 32, not 64"),
        ({"epochs": 4}, "epochs must be 4, not 3"),
    ],
)
def test_checkpoints_of_another_run(
    change: dict[str, int], message: str, digits: data.Dataset, mlp: Network, folder: Path
) -> None:
    before = (folder / checkpoint.FILE_NAME).read_bytes()
    with pytest.raises(InputError, match=message):
        run(mlp, digits, folder, **change)
    assert (folder / checkpoint.FILE_NAME).read_bytes() == before


def test_checkpoints_of_another_network_or_data(digits: data.Dataset, folder: Path) -> None:
    with pytest.raises(InputError, match="network must be resnet8, not mlp"):
        run(zoo.resnet8((1, 8, 8)), digits, folder)
    with pytest.raises(InputError, match=r"network's content \(SHA-256\) must be"):
        run(zoo.mlp(hidden=9), digits, folder)
    less = data.make_dataset("digits", digits.train, digits.validation, digits.test[slice(9)])
    with pytest.raises(InputError, match=r"data's content \(SHA-256\) must be"):
        run(zoo.mlp(hidden=8), less, folder)


def test_damaged_checkpoints(
    digits: data.Dataset, mlp: Network, folder: Path, saved: bytes
) -> None:
    path = folder / checkpoint.FILE_NAME
    with np.load(path) as file:
        good = dict(file)
    header = json.loads(good["header"].tobytes())

    def refuse(message: str) -> None:
        before = path.read_bytes()
        with pytest.raises(InputError, match=message) as refusal:
            run(mlp, digits, folder)
        assert "\n" not in str(refusal.value)
        assert path.read_bytes() == before

    def change(**arrays: np.ndarray) -> None:
        np.savez(path, **(good | arrays))

    def head(**fields: object) -> np.ndarray:
        return np.frombuffer(json.dumps(header | fields).encode(), np.uint8)

    path.write_bytes(saved[:-100])
    refuse("required a complete file")
    path.write_bytes(b"")
    refuse("required a complete file")
    change(**{"fc1.weight": good["fc1.weight"] ^ 1})
    refuse("required arrays of the header's digest")
    change(**{"fc1.weight": good["fc1.weight"][:, 1:]})
    refuse(r"fc1.weight must be int8 of shape \(8, 64\), not int8 of shape \(8, 63\)")
    change(**{"fc1.weight": good["fc1.weight"].astype(float)})
    refuse("fc1.weight must be int8 .*, not float64")
    change(**{"fc1.weight": np.array([None])})
    refuse("array fc1.weight must be numbers, not object")
    for broken in (
        head(format="other"), head(curve=[]), head(curve=[2.0]), head(run=3), good["random"]
    ):  # fmt: skip
        change(header=broken)
        refuse("required the header of 'eoqkit checkpoint 1'")
    # Consistent in itself, and out of the integers' range.
    weight = good["fc1.weight"].copy()
    weight[0, 0] = -128
    arrays = good | {"fc1.weight": weight}
    order = learner("eoq", mlp, digits, 1).state()
    digest = sha256({name: arrays[name] for name in order})
    change(**{"fc1.weight": weight, "header": head(sha256=digest)})
    refuse("fc1.weight must not have -128")


def test_numbers_out_of_range(digits: data.Dataset, mlp: Network) -> None:
    for options, message in (
        ({"batch": 48}, "^batch must be a power of two, not 48$"),
        ({"batch": 2048}, "^batch must be at most the 1257 training images of digits, not 2048$"),
        ({"epochs": 0}, "^epochs must be 1 to 10000, not 0$"),
        ({"seed": -1}, "^seed must be 0 to 4294967295, not -1$"),
    ):
        with pytest.raises(InputError, match=message):
            run(mlp, digits, **options)
    with pytest.raises(InputError, match=r"^scheme must be one of eoq.*, not 'sgd'$"):
        train(mlp, digits, scheme="sgd", epochs=1)


def test_a_network_for_other_images(digits: data.Dataset, folder: Path) -> None:
    before = (folder / checkpoint.FILE_NAME).read_bytes()
    for network, message in (
        (
            zoo.mlp((1, 28, 28)),
            r"take the images of digits, .* \(1, 8, 8\), not \(1, 28, 28\)$",
        ),
        (zoo.mlp(classes=9), "an output for each of the 10 classes of digits, not 9$"),
    ):
        with pytest.raises(InputError, match=rf"^network 'mlp' must (have )?{message}"):
            run(network, digits, folder)
    assert (folder / checkpoint.FILE_NAME).read_bytes() == before


def test_a_batch_that_32_bits_do_not_hold(tmp_path: Path) -> None:
    tall = Network("tall", (1, 400, 200))
    tall.add("conv", Convolution((1, 1), out_channels=1))
    tall.add("mean", GlobalAveragePool())
    tall.add("flatten", Flatten())
    tall.add("fc", Linear(2))
    pixels = np.zeros((8, 1, 400, 200), np.uint8)
    images = data.Images(pixels, np.arange(8) % 2)
    dataset = data.make_dataset("tall", images, images, images)
    with pytest.raises(InputError, match=r"^batch must be at most 1 for network 'tall'"):
        train(tall, dataset, epochs=1, batch=2, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_that_ran_away(
    digits: data.Dataset, mlp: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(float_learner, "RATE", 1e30)
    with pytest.raises(InputError, match=r"^fp32-bn on digits: .* finite, and did not in epoch 1;"):
        train(mlp, digits, scheme="fp32-bn", epochs=2, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scheme", LEARNERS)
def test_every_scheme_continues_where_it_was(
    scheme: str, digits: data.Dataset, tmp_path: Path
) -> None:
    network = zoo.resnet8((1, 8, 8))
    it, again = (learner(scheme, network, digits, seed=3) for _ in range(2))
    for step in range(2):
        it.train(digits.train[slice(8 * step, 8 * step + 8)], k=2)
    info = checkpoint.Run("n", network_sha256(network), "d", "", scheme, 1, 8, 3)
    checkpoint.write(tmp_path, checkpoint.Checkpoint(info, [0.5], it.state()))
    found = checkpoint.read(tmp_path, info, again.state())
    assert found is not None
    again.restore(found.state)
    for one in (it, again):
        one.train(digits.train[slice(16, 24)], k=2)
    assert sha256(it.state()) == sha256(again.state())
    pixels = digits.test.pixels[:20]
    assert (it.classify(pixels) == again.classify(pixels)).all()
