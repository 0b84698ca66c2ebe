"""MNIST is downloaded only when asked, checked, and never half there; from a server of our own here."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from xent.training._data.download import MNIST_MD5, download_mnist

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    (tmp_path / "there").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "there"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/", tmp_path / "there"
        running.shutdown()


def md5(data):
    return hashlib.md5(data).hexdigest()


def test_what_is_missing_is_downloaded_and_checked(server, tmp_path):
    url, there = server
    sums = {}
    for name in ("a.gz", "b.gz"):
        (there / name).write_bytes(name.encode() * 1000)
        sums[name] = md5(name.encode() * 1000)
    here = tmp_path / "new" / "mnist"
    assert download_mnist(here, url=url, checksums=sums) == [here / "a.gz", here / "b.gz"]
    assert (here / "b.gz").read_bytes() == b"b.gz" * 1000
    (here / "b.gz").write_bytes(b"cut")
    assert download_mnist(here, url=url, checksums=sums) == [here / "b.gz"]
    assert download_mnist(here, url=url, checksums=sums) == []


def test_another_file_is_not_kept(server, tmp_path):
    url, there = server
    (there / "a.gz").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"'a\.gz' is not kept: .* gave another file, of MD5"):
        download_mnist(tmp_path / "here", url=url, checksums={"a.gz": md5(b"right")})
    assert not (tmp_path / "here").exists()


def test_no_network_is_a_sentence(server, tmp_path):
    url, _ = server
    for address in (url + "nothing/", "http://127.0.0.1:1/"):
        with pytest.raises(ConnectionError, match=r"cannot be reached: .*Download the four files"):
            download_mnist(tmp_path / "here", url=address)
    assert not (tmp_path / "here").exists()


@pytest.mark.skipif(not MNIST.exists(), reason="needs the files of MNIST")
def test_the_checksums_are_those_of_mnist():
    for path in MNIST.glob("*.gz"):
        assert md5(path.read_bytes()) == MNIST_MD5[path.name]
