"""Data sets: the same split every time, and bad files refused with one line."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from golden import data
from golden.errors import InputError
from golden.idx import FOLDER_VARIABLE


def test_digits_are_split_the_same_way_every_time() -> None:
    one, other = data.load("digits"), data.load("digits")
    assert [len(p) for p in (one.train, one.validation, one.test)] == [1257, 180, 360]
    assert (one.shape, one.classes) == ((1, 8, 8), 10)
    # Pinned: whoever changes the split changes every number that was ever measured with it.
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint.startswith("0b0a904345bf1b96")


def test_pixels_become_codes() -> None:
    digits = data.load("digits")
    codes = digits.quantize(np.array([[[[0, digits.mean, 255]]]], dtype=np.uint8))
    assert codes.ravel().tolist() == [-digits.mean >> 1, 0, (255 - digits.mean) >> 1]


def write_idx(path: Path, array: np.ndarray, compress: bool = False) -> None:
    content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content += array.astype(np.uint8).tobytes()
    if compress:
        path = path.with_name(path.name + ".gz")
        content = gzip.compress(content)
    path.write_bytes(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 5100), ("t10k", 40)):
        pixels = rng.integers(0, 256, (count, 4, 3))
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte", pixels, compress=prefix == "train")
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte", np.arange(count) % 10)
    return tmp_path


def test_idx_files_compressed_or_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = data.load(f"fashion-mnist:{folder}")
    assert [len(p) for p in (loaded.train, loaded.validation, loaded.test)] == [100, 5000, 40]
    assert (loaded.shape, loaded.classes) == ((1, 4, 3), 10)
    everything = np.concatenate([loaded.train.pixels, loaded.validation.pixels])
    assert len(np.unique(everything.reshape(5100, -1), axis=0)) == 5100
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    assert data.load("fashion-mnist").fingerprint == loaded.fingerprint


def test_idx_files_that_are_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    name = f"fashion-mnist:{folder}"
    path = folder / "t10k-labels-idx1-ubyte"
    good = path.read_bytes()
    for content, message in (
        (good[:-1], r"required 40 bytes of data, got 39$"),
        (good + b"x", r"required 40 bytes of data, got more$"),
        (b"", "begins with nothing$"),
        (good[:6], r"required 1 to \d+ bytes, got shape \(\)$"),
        (b"\0\0\x08\x03" + b"\xff" * 12, r"bytes in 1 dimension\(s\), got .* 00000803$"),
        (b"\0\0\x08\x01" + b"\xff" * 4, r"required 1 to \d+ bytes, got shape \(4294967295,\)$"),
        (good[:7] + b"\x27" + good[8:-1], r"required 40 labels, got 39$"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            data.load(name)
    path.write_bytes(good)
    images = folder / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:-300])
    with pytest.raises(InputError, match="required a complete gzip file"):
        data.load(name)
    images.unlink()
    with pytest.raises(InputError, match=r"requires train-images-idx3-ubyte or .*\.gz in"):
        data.load(name)
    with pytest.raises(InputError, match="install the Debian package dataset-fashion-mnist"):
        data.load(f"fashion-mnist:{folder / 'none'}")


def some_images(count: int = 60) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, 3, 5, 4)).astype(np.uint8)
    return {"x": x, "y": np.arange(count) % 3}


def test_an_archive_of_images(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **some_images())
    loaded = data.load(str(path))
    assert [len(p) for p in (loaded.train, loaded.validation, loaded.test)] == [42, 6, 12]
    assert (loaded.shape, loaded.classes, loaded.name) == ((3, 5, 4), 3, "mine.npz")
    np.savez(path, x=some_images()["x"][:, 0].astype(np.int32), y=some_images()["y"])
    assert data.load(str(path)).shape == (1, 5, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.full((60, 5, 4), np.nan)}, "must be whole numbers 0 to 255, and has NaN$"),
        ({"x": np.zeros((60, 5, 4))}, r"must be whole numbers 0 to 255 \(uint8\), not float64$"),
        ({"x": np.full((60, 5, 4), 256)}, "must be 0 to 255, not 256 to 256$"),
        ({"x": np.zeros((60, 5), np.uint8)}, r"must be \(images, .* not of shape \(60, 5\)$"),
        ({"x": np.zeros((0, 5, 4), np.uint8)}, r"not of shape \(0, 1, 5, 4\)$"),
        ({"x": np.array([None] * 60)}, "must be numbers, not object$"),
        ({"y": np.arange(59) % 3}, r"must be of shape \(60,\) for x .*, not \(59,\)$"),
        ({"y": np.arange(60) / 2}, "y must be whole numbers, not float64$"),
        ({"y": np.arange(60) % 3 - 1}, "labels must be 0 to classes - 1, .*, not -1 to 1$"),
        ({"y": np.arange(60) * 100}, "labels must be 0 to classes - 1, .*, not 0 to 5900$"),
        ({"y": np.zeros(60, int)}, "with 2 to 1000 classes, not 0 to 0$"),
        ({"y": np.full(60, 2**64 - 1, np.uint64)}, "y must be labels, not 1844"),
        ({"y": np.arange(60) % 3 * 2}, "in the training part, and class 1 has none$"),
        ({"x": np.zeros((3, 5, 4), np.uint8), "y": np.arange(3)}, "and 3 in all are too few$"),
    ],
)
def test_archives_that_are_refused(
    change: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **(some_images() | change))
    with pytest.raises(InputError, match=message) as refusal:
        data.load(str(path))
    assert "bad.npz" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_damaged_archives(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **some_images())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"required an \.npz file, got"):
        data.load(str(path))
    path.write_bytes(whole[:300] + bytes([whole[300] ^ 0xFF]) + whole[301:])
    with pytest.raises(InputError, match="array x is damaged"):
        data.load(str(path))
    np.savez(path, x=some_images()["x"])
    with pytest.raises(InputError, match=r"required an array y, got x\.npy$"):
        data.load(str(path))
    # A header that claims a petabyte must not be believed.
    with zipfile.ZipFile(path, "w") as archive:
        text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000000,), }\n"
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + bytes([len(text), 0]) + text)
    with pytest.raises(InputError, match="array x must have 1000000000000000 bytes, and is cut"):
        data.load(str(path))
    with pytest.raises(OSError, match="No such file"):
        data.load(str(tmp_path / "none.npz"))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match=r"^data set must be one of digits, fashion-mnist, .*'mni"):
        data.load("mnist")


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    digits, theirs = data.load("digits"), load_digits()
    every = [digits.train, digits.validation, digits.test]
    pixels = np.concatenate([part.pixels for part in every]).reshape(len(theirs.images), -1)
    labels = np.concatenate([part.labels for part in every])
    ours = sorted(map(bytes, np.column_stack([pixels, labels]).astype(np.uint8)))
    bright = np.minimum(theirs.data * 16, 255)
    assert ours == sorted(map(bytes, np.column_stack([bright, theirs.target]).astype(np.uint8)))


def test_parts_that_are_refused() -> None:
    digits = data.load("digits")
    train, validation, test = digits.train, digits.validation, digits.test

    def refuse(message: str, part: data.Images) -> None:
        with pytest.raises(InputError, match=rf"^data set mine: {message}") as refusal:
            data.make_dataset("mine", train, part, test)
        assert "\n" not in str(refusal.value)

    pixels, labels = validation.pixels, validation.labels
    refuse("images must be uint8 of .*, not float64", data.Images(pixels * np.nan, labels))
    refuse(r"images must be uint8 .* \(180, 8, 8\)$", data.Images(pixels[:, 0], labels))
    refuse("all images must have one shape", data.Images(pixels[:, :, :7], labels))
    refuse(r"labels must be 180 integers.*\(179,\)$", data.Images(pixels, labels[1:]))
    refuse("labels must be 180 integers.*float64", data.Images(pixels, labels / 1))
    refuse("labels must be 0 to classes - 1", data.Images(pixels, labels - 1))
    refuse("every class from 0 to 10 must have", data.Images(pixels, labels + 1))
