"""The vectorised path against `cost()`, number by number, and its speed."""

import time

import numpy as np
import pytest

from golden import zoo
from golden.errors import InputError
from golden.network import GlobalMaxPool, Linear, Network
from golden.schemes import EOQ, SCHEMES
from hwmodel.conventions import Conventions
from hwmodel.cost import cost
from hwmodel.designs import RESULTS, Designs
from hwmodel.hierarchy import Hierarchy
from hwmodel.technology import load_technology
from hwmodel.tiling import product_traffic

HOROWITZ = load_technology("horowitz-45nm")


def expected(values):
    """What `RESULTS` are called in `eoq cost --json`."""
    energy, area = values["energy_j"], values["area_um2"]
    return {
        "macs": values["macs"]["total"],
        "cycles": -1 if values["cycles"] is None else values["cycles"],
        "utilization": values["utilization"],
        "dram_compulsory_bytes": values["traffic_bytes"]["dram"]["compulsory"],
        "dram_traffic_bytes": values["traffic_bytes"]["dram"]["modelled"],
        "buffer_traffic_bytes": values["traffic_bytes"]["buffer"]["modelled"],
        "memory_peak_bytes": values["memory_peak_bytes"]["total"],
        **{f"energy_{end}_j": energy[end] for end in ("low", "nominal", "high")},
        **{f"area_{end}_um2": area[end] for end in ("low", "nominal", "high")},
    }


def same(network, scheme, batch, technology, samples, conventions):
    designs = Designs(network, SCHEMES[scheme], batch, technology, conventions)
    rows, columns, buffers = (np.array(axis, dtype=np.int64) for axis in zip(*samples, strict=True))
    found = designs.evaluate(rows, columns, buffers)
    assert list(found) == list(RESULTS)
    for place, (r, c, buffer) in enumerate(samples):
        one = cost(network, scheme, batch, (r, c), technology, conventions, Hierarchy(buffer))
        for name, value in expected(one.as_dict()).items():
            got = found[name][place]
            # Equal to the last bit; a number that is missing is NaN.
            assert got == value or (value is None and np.isnan(got)), (name, r, c, buffer)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["resnet18", "lenet5", "mobilenetv2"])
def test_samples_equal_the_cost_of_one_design(name, scheme):
    rng = np.random.default_rng(len(name) + len(scheme))
    sizes = rng.integers(1, 40, (6, 2)).tolist()
    buffers = [1024, 1 << 30, *rng.integers(1024, 1 << 22, 4).tolist()]
    samples = [(*size, buffer) for size, buffer in zip(sizes, buffers, strict=True)]
    conventions = Conventions(exponents="batch", fused_scalars=False, padding=False)
    same(zoo.BUILT_IN[name](), scheme, 3, HOROWITZ, samples, conventions)


def test_samples_of_large_batches_and_a_table_without_areas():
    samples = [(1, 1, 4096), (32, 32, 1 << 19), (7, 19, 1 << 25), (4096, 4096, 1 << 19)]
    jouppi = load_technology("jouppi-7nm")
    same(zoo.resnet18(), "eoq", 256, jouppi, samples, Conventions())


def test_products_cross_as_much_for_an_array_of_buffers():
    sizes = np.unique(np.geomspace(1, 1 << 24, 200).astype(np.int64))
    for m, k, n in ((1, 1, 1), (49, 4608, 512), (3136, 147, 64), (1000, 1, 7)):
        found = product_traffic(m, k, n, m * k, k * n, m * n, sizes)
        for place, size in enumerate(sizes.tolist()):
            one = product_traffic(m, k, n, m * k, k * n, m * n, size)
            assert one == tuple(int(part[place]) for part in found)


def test_a_hundred_thousand_designs_a_second():
    designs = Designs(zoo.resnet18(), EOQ, 1, HOROWITZ)
    grid = np.meshgrid(np.arange(1, 33), np.arange(1, 33), (1 + np.arange(64)) << 14)
    rows, columns, buffers = (axis.ravel() for axis in grid)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        designs.evaluate(rows, columns, buffers)
        seconds.append(time.perf_counter() - start)
    assert len(rows) / min(seconds) > 100_000


def test_a_step_that_64_bits_may_not_hold_is_refused():
    network = Network("huge", (1 << 20,))
    network.add("fc", Linear(1 << 15))
    with pytest.raises(InputError, match=r"^network 'huge', batch 1048576: a sweep requires"):
        Designs(network, EOQ, 1 << 20, HOROWITZ)


def test_an_operator_without_a_cost_is_refused():
    class Mystery(GlobalMaxPool):
        pass

    network = Network("new", (4, 6, 6))
    network.add("it", Mystery())
    with pytest.raises(InputError, match="got Mystery"):
        Designs(network, EOQ, 1, HOROWITZ)
