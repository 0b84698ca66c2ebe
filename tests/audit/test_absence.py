"""The static half of the audit is the standard library's alone, and quick from the command line."""

import subprocess
import sys

HEAVY = {"torch", "numpy", "numba", "scipy", "pyarrow", "sklearn"}


def loaded(code):
    code += "\nimport sys; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_audit_loads_the_standard_library_alone(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("import torch\nloss = torch.nn.functional.cross_entropy(z, y)\n")
    found = loaded(f"from xent.audit import audit; print(audit({str(script)!r}).sites)")
    assert found.isdisjoint(HEAVY | {"typer", "rich"})


def test_the_command_loads_nothing_heavy(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("import torch\nloss = torch.nn.functional.cross_entropy(z, y)\n")
    code = f"import sys; sys.argv = ['xent', 'audit', {str(script)!r}]\n"
    code += "from xent.cli import main\ntry: main()\nexcept SystemExit: pass"
    assert loaded(code).isdisjoint(HEAVY)
