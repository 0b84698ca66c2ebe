"""Put machine code into the wheel where `make wheel` has made some; all other builds are plain."""

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class MachineCode(BuildHookInterface):  # type: ignore[misc]
    """Adds the archives that `build_wheel.py` names, and the tag of where they run."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the archives; ``XENT_MACHINE_CODE`` is their folder, ``XENT_WHEEL_TAG`` the tag."""
        folder = os.environ.get("XENT_MACHINE_CODE")
        if folder and self.target_name == "wheel" and version == "standard":
            build_data["pure_python"] = False
            build_data["tag"] = os.environ["XENT_WHEEL_TAG"]
            for file in Path(folder).glob("*.code"):
                build_data["force_include"][str(file)] = f"xent/_compile/{file.name}"
