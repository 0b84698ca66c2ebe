"""One wheel installed over another: no machine code of the old one is used by the new."""

import base64
import hashlib
import os
import subprocess
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import xent

SRC = Path(xent.__file__).parent
HELPER = "xent/_math/log.py"  # no kernel of its own: rooms' kernels inline it
SLIPS = {"half = 0.5 * f * f": "half = 0.7 * f * f", "(-0.5 + r * (1.0": "(-0.9 + r * (1.0"}
SAID = """
import math, numpy as np
from xent import measures
p = np.full((4, 3), 1 / 3)
print(abs(measures.entropy(p) - math.log(3)).max())
"""


def wheel(folder, version, helper):
    """Write a plain wheel, every file as old as every other, with another helper in it."""
    name = f"xent-{version}"
    files = {
        f"xent/{path.relative_to(SRC)}": path.read_bytes()
        for path in SRC.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    files[HELPER] = helper.encode()
    about = f"{name}.dist-info"
    files[f"{about}/METADATA"] = f"Metadata-Version: 2.1\nName: xent\nVersion: {version}\n".encode()
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for path, data in files.items()
    )
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    path = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for place, data in files.items():
            packed.writestr(zipfile.ZipInfo(place, (2026, 1, 1, 0, 0, 0)), data)
    return path


@pytest.mark.long
def test_no_machine_code_outlives_an_upgrade(tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    site = next((tmp_path / "env").rglob("site-packages"))
    # The libraries of this environment, after what is installed in the new one.
    (site / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHONPATH", "NUMBA_"))}

    def upgraded(path):
        pip = [python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", path]
        subprocess.run(pip, check=True, env=clean)
        where = [python, "-c", "import xent; print(xent.__file__)"]
        found = subprocess.run(where, env=clean, capture_output=True, text=True, check=True)
        assert Path(found.stdout.strip()).is_relative_to(site)

    def said():
        done = subprocess.run(
            [python, "-W", "ignore", "-c", SAID], env=clean, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return float(done.stdout)

    text = (SRC / "_math" / "log.py").read_text()
    wrong = text
    for right, slip in SLIPS.items():
        assert right in text
        assert len(right) == len(slip)
        wrong = wrong.replace(right, slip)
    upgraded(wheel(tmp_path, "0.0.1", wrong))
    assert said() > 1e-8
    kept = set(site.rglob("*.nbc"))
    assert kept, "the machine code lies beside the package"
    upgraded(wheel(tmp_path, "0.0.2", text))
    assert kept <= set(site.rglob("*.nbc")), "and pip, who did not put it there, leaves it"
    assert said() < 1e-15
    assert said() < 1e-15  # from what was kept
