"""Everything that leaves the program: the result folder, the recipe, the canvas, and the command that does it again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari.viewer import Viewer
from qtpy.QtWidgets import QApplication, QFileDialog, QGridLayout, QMessageBox, QPushButton, QWidget

from stemdisp import StemdispError
from stemdisp.batch.result import write_result

from .session import Session

SCALE = 2
"""Pixels of an exported canvas per pixel of the screen."""


class ExportBox(QWidget):
    """Buttons of the last step."""

    def __init__(self, session: Session, viewer: Viewer, say: Callable[[str, str], None], parent: QWidget) -> None:
        super().__init__(parent)
        self.session, self.viewer, self.say = session, viewer, say
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for number, (name, text, act) in enumerate(
            (
                ("folder", "Result folder ...", self._folder),
                ("canvas", "Canvas as PNG ...", self._canvas),
                ("recipe", "Save recipe ...", self._recipe),
                ("load", "Load recipe ...", self._load),
                ("command", "Copy CLI command", self._command),
            )
        ):
            button = QPushButton(text, self)
            button.setObjectName(f"export_{name}")
            button.clicked.connect(act)
            layout.addWidget(button, number // 2, number % 2)

    def _folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder that gets the result folder")
        if chosen:
            self.save_to(Path(chosen))

    def _may_replace(self, folder: Path) -> bool:
        """Whether the user agrees that an earlier result goes."""
        asked = QMessageBox.question(self, "Result folder", f"{folder} exists. Replace it?")
        return bool(asked == QMessageBox.StandardButton.Yes)

    def save_to(self, parent: Path) -> Path | None:
        """Write the result folder into ``parent``, as ``stemdisp run -o parent`` does."""
        analysis = self.session.analysis
        if analysis is None or self.session.stale:
            self.say("Run all steps first: a result folder holds what follows from the recipe.", "warning")
            return None
        folder = parent / analysis.micrograph.name
        if folder.exists() and not self._may_replace(folder):
            return None
        try:
            write_result(analysis, folder, overwrite=True)
        except (StemdispError, OSError) as error:
            self.say(str(error), "error")
            return None
        self.session.saved()
        self.say(f"Saved: {folder}", "info")
        return folder

    def _canvas(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Picture of the canvas", "map.png", "PNG (*.png)")
        if chosen:
            self.save_canvas(Path(chosen))

    def save_canvas(self, path: Path) -> None:
        """The canvas as it is seen, with wheel and scale bar, at twice the screen's resolution."""
        self.viewer.screenshot(str(path), canvas_only=True, scale=SCALE, flash=False)
        self.say(f"Saved: {path}", "info")

    def _recipe(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Recipe", "recipe.toml", "TOML (*.toml)")
        if chosen:
            self.session.save_recipe(chosen)
            self.say(f"Saved: {chosen}", "info")

    def _load(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Recipe", "", "TOML (*.toml)")
        if chosen and self.session.load_recipe(chosen):
            self.say(f"Recipe: {chosen}", "info")

    def _command(self) -> None:
        command = self.session.command()
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(command)
        self.say(f"Copied: {command}", "info")
