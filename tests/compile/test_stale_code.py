"""No stale machine code: an edit of any file that goes into a kernel is seen in its number."""

import os

import pytest


def edit(file, old, new):
    """Edit a file as a pull or an upgrade would: same size, and a time that has been before."""
    text, time = file.read_text(), file.stat().st_mtime_ns
    assert text.count(old) == 1
    assert len(old) == len(new)
    file.write_text(text.replace(old, new))
    os.utime(file, ns=(time, time))


@pytest.mark.parametrize(
    ("options", "tried"),
    [("", True), ("inside=True", True), ('inline="always"', True), ("inside=True", False)],
)
def test_an_edit_of_an_inlined_kernel_is_seen(house, options, tried):
    if not tried:
        edit(
            house.package / "_compile" / "numba_private.py",
            'TRIED = ("0.68.",)',
            'TRIED = ("9.99.",)',
        )
    house.options(options)
    assert house.said() == ["2.0 1.0", "0 0"]
    assert house.said() == ["2.0 1.0", "1 1"]
    edit(house.helper, "x / 2", "x / 4")
    assert house.said() == [
        "0.5 1.0",
        "0 1",
    ]  # what does not import the helper is not compiled anew
    assert house.said() == ["0.5 1.0", "1 1"]


def test_what_compiles_the_kernels_goes_in(house):
    assert house.said() == ["2.0 1.0", "0 0"]
    edit(house.package / "_compile" / "decorator.py", "one decorator", "One decorator")
    assert house.said() == ["2.0 1.0", "0 0"]


def test_old_code_is_cleared_away(house):
    house.said()
    edit(house.helper, "x / 2", "x / 4")
    house.said()
    kept = [path.name for path in house.cache.rglob("*.nbc")]
    assert len(kept) == len({name.partition(".cpython")[0] for name in kept})
