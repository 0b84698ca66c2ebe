"""Labelled images in every spelling; what is damaged, or says more than it holds, is refused unread."""

import gzip
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from xent import _table
from xent.training import read_images
from xent.training._data.idx import read_idx
from xent.training._data.source import is_images, parts_of

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"


def idx(array, code=0x08):
    head = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def digits():
    rng = np.random.default_rng(0)
    return {
        part: (rng.integers(0, 256, (n, 5, 4), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8))
        for part, n in (("train", 12), ("t10k", 6))
    }  # fmt: skip


SPELLINGS = [
    "{part}-{what}-idx{n}-ubyte", "{part}-{what}.idx{n}-ubyte", "{part}-{what}-idx{n}-ubyte.gz",
    "emnist-letters-{part}-{what}-idx{n}-ubyte", "MNIST/raw/{part}-{what}-idx{n}-ubyte", "raw/{part}-{what}-idx{n}-ubyte.gz",
]  # fmt: skip


def write_mnist(folder, digits, spelling="{part}-{what}-idx{n}-ubyte", packed=None):
    for part, (X, y) in digits.items():
        for what, n, array in (("images", 3, X), ("labels", 1, y)):
            path = folder / spelling.format(part=part, what=what, n=n)
            path.parent.mkdir(parents=True, exist_ok=True)
            data = idx(array)
            wanted = path.suffix == ".gz" if packed is None else packed
            path.write_bytes(gzip.compress(data, mtime=0) if wanted else data)


@pytest.mark.parametrize("packed", [None, True, False])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_mnist_in_every_spelling(tmp_path, digits, spelling, packed):
    """What is compressed is known by its first bytes, whatever it is called."""
    write_mnist(tmp_path, digits, spelling, packed)
    assert parts_of(tmp_path) == ["train", "test"]
    for part, name in (("train", "train"), ("test", "t10k")):
        images = read_images(tmp_path, part)
        np.testing.assert_array_equal(images.X, digits[name][0].reshape(-1, 20))
        np.testing.assert_array_equal(images.y, digits[name][1])
        assert (images.shape, images.X.dtype) == ((5, 4), np.uint8)
    one = tmp_path / spelling.format(part="t10k", what="images", n=3)
    np.testing.assert_array_equal(read_images(one).y, digits["t10k"][1])


def test_what_is_not_compressed_is_mapped(tmp_path, digits):
    write_mnist(tmp_path, digits)
    X = read_images(tmp_path).X
    assert isinstance(X.base.base, np.memmap) or isinstance(X.base, np.memmap)


@pytest.mark.parametrize(
    ("code", "kind"), [(8, "u1"), (9, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")]
)
def test_all_types_of_numbers(tmp_path, code, kind):
    array = (np.arange(24).reshape(2, 3, 4) - (0 if kind == "u1" else 9)).astype(kind)
    for data in (idx(array, code), gzip.compress(idx(array, code), mtime=0)):
        (tmp_path / "a").write_bytes(data)
        np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)


GOOD = idx(np.zeros((2, 3, 4), np.uint8))
BROKEN = [
    (b"", "its first bytes are not 0, 0, a type and a number of dimensions"),
    (b"\x89PNG\r\n", "its first bytes are not 0, 0, a type and a number of dimensions"),
    (b"\0\0\7\3" + GOOD[4:], "its first bytes are not"),
    (b"\0\0\x08\xff", "its first bytes are not"),
    (GOOD[:9], "it ends within its sizes"),
    (GOOD[:-1], "its sizes 2 x 3 x 4 are 40 bytes, and it has 39"),
    (GOOD + b"x", "its sizes 2 x 3 x 4 are 40 bytes, and it has 41"),
    (b"\0\0\x08\3" + b"\xff" * 12, "its sizes 4294967295 x 4294967295 x 4294967295 are 79,228,"),
    (b"\0\0\x08\3" + b"\0" * 12, "its sizes 0 x 0 x 0 are those of nothing"),
    (gzip.compress(GOOD[:-1], mtime=0), "its sizes 2 x 3 x 4 are 40 bytes, and it has 39"),
    (gzip.compress(GOOD + b"x", mtime=0), "it is longer than its sizes 2 x 3 x 4 say"),
    (gzip.compress(GOOD, mtime=0)[:-9], "its compressed part is cut short or damaged"),
    (gzip.compress(GOOD, mtime=0)[:-5] + b"zzzzz", "its compressed part is cut short or damaged"),
    # What would fill the memory is refused by its sizes.
    (gzip.compress(b"\0\0\x08\3" + b"\x7f" * 12, mtime=0), "compressed ones cannot hold so many"),
]


@pytest.mark.parametrize(("data", "because"), BROKEN)
def test_broken_files_are_refused(tmp_path, data, because):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(data)
    with pytest.raises(ValueError) as caught:
        read_idx(tmp_path / "t10k-images-idx3-ubyte")
    assert because in str(caught.value)
    assert str(caught.value).startswith(f"{str(tmp_path / 't10k-images-idx3-ubyte')!r} cannot be read as IDX: ")  # fmt: skip


@pytest.mark.parametrize("kind", ["idx", "npz", "png"])
def test_what_unpacks_to_far_more_is_refused(tmp_path, monkeypatch, kind):
    """Black images: 2 MB of zeros that pack to some kilobytes."""
    from xent._table.files import unpacked
    from xent.training._data import pictures

    X, y = np.zeros((200, 100, 100), np.uint8), np.zeros(200, np.uint8)
    place = tmp_path
    if kind == "idx":
        for what, array in (("images-idx3", X), ("labels-idx1", y)):
            data = gzip.compress(idx(array), mtime=0)
            (tmp_path / f"train-{what}-ubyte.gz").write_bytes(data)
    elif kind == "npz":
        place = tmp_path / "mnist.npz"
        np.savez_compressed(place, x_train=X, y_train=y)
    else:
        image = pytest.importorskip("PIL.Image")
        (tmp_path / "a").mkdir()
        for i in range(200):
            image.fromarray(X[i]).save(tmp_path / "a" / f"{i}.png")
    assert read_images(place).X.nbytes == 2_000_000
    monkeypatch.setattr(unpacked, "ARRAY_BYTES", 1_000_000)
    monkeypatch.setattr(unpacked, "ARRAY_TIMES", 10)
    monkeypatch.setattr(pictures, "MOST_TIMES", 10)
    with pytest.raises(ValueError, match=r"unpacked it would be larger than 1 MB\. Where it is tr"):
        read_images(place)
    with unpacked.up_to(3_000_000):
        assert len(read_images(place).X) == 200


def test_no_flipped_byte_goes_unnoticed_where_there_is_a_checksum(tmp_path, digits):
    """Every byte of a compressed file but those of its header that say nothing."""
    data = gzip.compress(idx(digits["t10k"][0]), mtime=0)
    told = 0
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 0x40
        (tmp_path / "a").write_bytes(flipped)
        try:
            same = (read_idx(tmp_path / "a") == digits["t10k"][0]).all()
        except ValueError:
            told += 1
        else:
            assert same
    assert told > len(data) - 12


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_keras_mnist(tmp_path, digits, save):
    (X, y), (Xt, yt) = digits["train"], digits["t10k"]
    save(tmp_path / "mnist.npz", x_train=X, y_train=y, x_test=Xt, y_test=yt)
    for part, expected in (("train", digits["train"]), ("test", digits["t10k"])):
        images = read_images(tmp_path / "mnist.npz", part)
        np.testing.assert_array_equal(images.X, expected[0].reshape(-1, 20))
        np.testing.assert_array_equal(images.y, expected[1])
    base = images.X
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap) == (save is np.savez)


def test_a_folder_of_npy_files(tmp_path, digits):
    np.save(tmp_path / "x_train.npy", np.asfortranarray(digits["train"][0] / 255))
    np.save(tmp_path / "y_train.npy", digits["train"][1][:, None])
    images = read_images(tmp_path)
    np.testing.assert_array_equal(images.X, digits["train"][0].reshape(-1, 20) / 255)
    assert parts_of(tmp_path) == ["train"]


def test_archives_that_say_more_than_they_hold(tmp_path):
    array = io.BytesIO()
    np.save(array, np.zeros((100, 28, 28), np.uint8))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", array.getvalue())
        archive.writestr("y_train.npy", array.getvalue())
    with pytest.raises(ValueError, match="must hold images of two or three dimensions each, and a"):
        read_images(tmp_path / "a.npz")
    np.savez(tmp_path / "o.npz", x_train=np.array([{}], dtype=object), y_train=np.zeros(1))
    with pytest.raises(ValueError, match="it holds Python objects, which are never loaded"):
        read_images(tmp_path / "o.npz")


def test_an_archive_without_its_list_is_a_table_to_be_refused(tmp_path):
    np.savez(tmp_path / "t.npz", a=np.arange(3.0))
    data = (tmp_path / "t.npz").read_bytes()
    (tmp_path / "t.npz").write_bytes(data.replace(b"PK\x01\x02", b"PK\x09\x02"))
    assert not is_images(str(tmp_path / "t.npz"))
    with pytest.raises(ValueError, match=r"t.npz' cannot be read as NPZ: .*central directory"):
        _table.read(tmp_path / "t.npz")


def test_what_does_not_fit_is_refused(tmp_path, digits):
    (X, y), _ = digits["train"], digits["t10k"]
    with pytest.raises(FileNotFoundError, match="There is no file "):
        read_images(tmp_path / "none")
    with pytest.raises(ValueError, match="`path` must hold labelled images: IDX files such as"):
        read_images(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(X))
    with pytest.raises(ValueError, match="beside the images, got no 'train-labels-idx1-ubyte'"):
        read_images(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(y[:-1]))
    with pytest.raises(ValueError, match="a label for each image, got 12 images and 11 labels"):
        read_images(tmp_path)
    with pytest.raises(ValueError, match="hold images to hold out, got only those of its part 'tr"):
        read_images(tmp_path, "test")
    with pytest.raises(ValueError, match="must name the file of images, got one of labels"):
        read_images(tmp_path / "train-labels-idx1-ubyte")
    (tmp_path / "fashion-train-images-idx3-ubyte").write_bytes(idx(X))
    with pytest.raises(ValueError, match="must hold one set of images, got '' and 'fashion'"):
        read_images(tmp_path)


def test_folders_of_images_by_class(tmp_path, digits):
    image = pytest.importorskip("PIL.Image")
    X = digits["train"][0]
    for part, rows in (("train", range(8)), ("val", range(8, 12))):
        for i in rows:
            folder = tmp_path / part / ("cat" if i % 2 else "dog")
            folder.mkdir(parents=True, exist_ok=True)
            image.fromarray(X[i]).save(folder / f"{i:02}.png")
    (tmp_path / "train" / "notes").mkdir()
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "train" / "cat" / "._01.png").write_bytes(b"what a Mac leaves behind")
    (tmp_path / "train" / ".thumbnails").mkdir()
    image.fromarray(X[0]).save(tmp_path / "train" / ".thumbnails" / "0.png")
    images = read_images(tmp_path)
    assert images.files[:2] == ["cat/01.png", "cat/03.png"]
    assert images.y.tolist() == ["cat"] * 4 + ["dog"] * 4
    np.testing.assert_array_equal(images.X, X[[1, 3, 5, 7, 0, 2, 4, 6]].reshape(8, -1))
    assert read_images(tmp_path, "test").files == ["cat/09.png", "cat/11.png", "dog/08.png", "dog/10.png"]  # fmt: skip
    # One in colours makes all of them three channels.
    image.fromarray(np.zeros((5, 4, 3), np.uint8)).save(tmp_path / "train" / "dog" / "c.png")
    assert read_images(tmp_path).shape == (5, 4, 3)
    image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "train" / "dog" / "d.png")
    with pytest.raises(ValueError, match=r'9 x 9. To resize them pass image_size="4x5"'):
        read_images(tmp_path)
    assert read_images(tmp_path, image_size=(2, 3)).X.shape == (10, 18)
    (tmp_path / "train" / "dog" / "e.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(ValueError, match=r"e\.png' cannot be read as an image: "):
        read_images(tmp_path, image_size=(2, 3))


def test_without_pillow_there_is_a_sentence(tmp_path, monkeypatch):
    from xent import _optional

    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.png").write_bytes(b"")
    monkeypatch.setattr(_optional, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'images needs Pillow. Install it with: pip install "pillow'):  # fmt: skip
        read_images(tmp_path)


@pytest.mark.skipif(not MNIST.exists(), reason="needs the files of MNIST")
def test_mnist_itself():
    images = read_images(MNIST, "test")
    assert (images.X.shape, images.shape) == ((10_000, 784), (28, 28))
    assert np.bincount(images.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert images.X.mean() == pytest.approx(0.13251 * 255, rel=1e-4)  # torchvision's normalisation
