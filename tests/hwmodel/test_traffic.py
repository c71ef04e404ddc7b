"""Traffic: the compulsory bound, levels, and what moves beside the products."""

import pytest

from golden import zoo
from golden.errors import InputError
from golden.schemes import EOQ, FP32_BN, SCHEMES
from hwmodel.conventions import Conventions
from hwmodel.hierarchy import Hierarchy, Level
from hwmodel.step import Step
from hwmodel.traffic import array_traffic, tilings, traffic


def megabytes(transfers, **where):
    chosen = [t for t in transfers if all(getattr(t, k) == v for k, v in where.items())]
    return sum(t.compulsory for t in chosen) / 1e6


def test_compulsory_forward_traffic_of_resnet18():
    transfers = traffic(Step(zoo.resnet18(), EOQ), Hierarchy())
    weights = megabytes(transfers, phase="forward", tensor="W")
    inputs = megabytes(transfers, phase="forward", tensor="A")
    outputs = megabytes(transfers, phase="forward", tensor="O")
    assert weights == pytest.approx(11.68, abs=0.005)
    assert inputs == pytest.approx(1.92, abs=0.005)
    assert outputs == pytest.approx(2.48, abs=0.005)
    assert weights + inputs + outputs == pytest.approx(16.08, abs=0.005)


def test_the_update_moves_five_words_a_parameter():
    transfers = traffic(Step(zoo.resnet18(), FP32_BN), Hierarchy())
    assert megabytes(transfers, phase="update") == pytest.approx(5 * 4 * 11.689512, rel=1e-9)
    # Weight, momentum and gradient in int8; of a bias the first two in int16.
    transfers = traffic(Step(zoo.mlp(), EOQ), Hierarchy())
    weights, biases = 64 * 32 + 32 * 10, 32 + 10
    assert megabytes(transfers, phase="update") * 1e6 == 5 * weights + 9 * biases


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2", "vgg11"])
@pytest.mark.parametrize("buffer", [1 << 14, 1 << 19, 1 << 26])
def test_modelled_is_never_below_compulsory(scheme, name, buffer):
    step = Step(zoo.BUILT_IN[name](), SCHEMES[scheme], 4)
    for transfer in [*traffic(step, Hierarchy(buffer)), *array_traffic(step, 16)]:
        assert 0 <= transfer.compulsory <= transfer.modelled


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_larger_buffer_never_moves_more(scheme):
    step = Step(zoo.resnet18(), SCHEMES[scheme], 2)
    sizes = [1 << bits for bits in range(12, 28, 3)]
    moved = [sum(t.modelled for t in traffic(step, Hierarchy(size))) for size in sizes]
    assert moved == sorted(moved, reverse=True)


def test_sums_that_wait_leave_the_chip_when_it_is_small():
    def second_pass(exponents, buffer, batch=4):
        step = Step(zoo.resnet18(), EOQ, batch, Conventions(exponents=exponents))
        moved = traffic(step, Hierarchy(buffer))
        return sum(t.modelled for t in moved if t.tensor == "second pass")

    assert second_pass("sample", 1 << 19) > 0
    assert second_pass("sample", 1 << 26) == 0
    assert second_pass("batch", 1 << 19) > second_pass("sample", 1 << 19)
    assert second_pass("lagged", 1 << 12) == 0


def levels(*sizes):
    on_chip = (Level(name=f"l{i}", size=size) for i, size in enumerate(sizes))
    return Hierarchy(levels=(*on_chip, Level(name="dram")))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_level_moves_at_least_the_compulsory_and_inner_ones_no_less_than_outer(scheme):
    step = Step(zoo.resnet18(), SCHEMES[scheme], 2)
    moved = traffic(step, levels(8 << 10, 64 << 10, 1 << 20))
    total = dict.fromkeys(("dram", "l2", "l1"), 0)
    for transfer in moved:
        assert 0 <= transfer.compulsory <= transfer.modelled
        total[transfer.level] += transfer.modelled
    assert total["dram"] <= total["l2"] <= total["l1"]
    # The outermost level is tiled as if there were no other.
    one = sum(t.modelled for t in traffic(step, levels(1 << 20)))
    assert total["dram"] == one


def test_two_memories_of_one_size_move_the_same():
    step = Step(zoo.resnet8(), EOQ, 4)
    total = {}
    for transfer in traffic(step, levels(1 << 14, 1 << 14)):
        total[transfer.level] = total.get(transfer.level, 0) + transfer.modelled
    assert total["l1"] == total["dram"]


def test_tilings_say_what_the_transfers_say():
    step, hierarchy = Step(zoo.resnet8(), EOQ, 4), levels(1 << 12, 1 << 15)
    products = {"A", "W", "O", "E", "E_in", "G"}
    for level in ("dram", "l1"):
        found = [t for t in tilings(step, hierarchy) if t.level == level]
        moved = [t for t in traffic(step, hierarchy) if t.level == level and t.tensor in products]
        strided = {t.layer for t in found if t.repeats > 1 or "down" in t.layer}
        for layer in {t.layer for t in found} - strided:
            modelled = sum(t.modelled for t in moved if t.layer == layer)
            assert sum(t.modelled for t in found if t.layer == layer) == pytest.approx(
                modelled, rel=1e-3
            )


def test_the_array_reads_its_operands_again_for_every_block():
    step = Step(zoo.mlp(), EOQ, 4)
    moved = {(t.layer, t.phase, t.tensor): t for t in array_traffic(step, 16)}
    forward = moved["fc1", "forward", "operands"]
    assert forward.compulsory == 4 * 64 + 64 * 32
    # 32 outputs are two blocks of 16 columns.
    assert forward.modelled == 2 * 4 * 64 + 64 * 32
    assert moved["fc1", "forward", "sums"].modelled == 4 * 4 * 32


@pytest.mark.parametrize("buffer", [0, 1023, 1 << 31, 1.5e6])
def test_buffers_that_cannot_be(buffer):
    with pytest.raises(InputError, match=r"^buffer must be 1 KiB to 1 GiB, not"):
        Hierarchy(buffer)
