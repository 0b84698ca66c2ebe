"""What a package has beside the source: its page on an index, and machine code if asked for."""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

BRANCH = "main"
PICTURE = re.compile(r'<img src="(?!https?:)([^"]+)"([^>]*)>')
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)]+)\)")


def page_of(readme: str, repository: str) -> str:
    """Return the README as a package index shows it, where no file lies beside it.

    Links and pictures lead to the repository. Where its address is not filled in, links are plain
    text, and pictures are what they say in words.
    """
    if repository:
        raw, shown = f"{repository}/raw/{BRANCH}", f"{repository}/blob/{BRANCH}"
        readme = PICTURE.sub(rf'<img src="{raw}/\1"\2>', readme)
        readme = LINK.sub(rf"[\1]({shown}/\2)", readme)
        return readme.replace("ADDRESS_OF_THIS_PAGE", repository)
    readme = PICTURE.sub(lambda found: re.findall(r'alt="([^"]*)"', found[2])[0], readme)
    return LINK.sub(r"\1", readme)


class Page(MetadataHookInterface):  # type: ignore[misc]
    """Gives the package its page and its addresses."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the dynamic fields ``readme`` and ``urls``."""
        repository = self.config["repository"].rstrip("/")
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = page_of(readme, repository)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = {}
        if repository:
            metadata["urls"] = {
                "Homepage": repository,
                "Repository": repository,
                "Changelog": f"{repository}/blob/{BRANCH}/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }


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
