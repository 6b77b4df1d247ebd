"""Give chosen columns another site: a choice and a button below the step of the sites."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QWidget

from .canvas import Canvas


class ReassignBox(QWidget):
    """Reassigns the columns that are selected on the layer of columns."""

    def __init__(self, canvas: Canvas, parent: QWidget) -> None:
        super().__init__(parent)
        self.canvas = canvas
        self.sites = QComboBox(self)
        self.sites.setObjectName("reassign_site")
        self.button = QPushButton("Reassign selected", self)
        self.button.setObjectName("reassign")
        self.button.setToolTip("The columns selected on the layer 'columns' become columns of this site.")
        self.button.clicked.connect(lambda: canvas.reassign(self.sites.currentText()))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.sites, 1)
        layout.addWidget(self.button, 2)

    def show_sites(self) -> None:
        """Offer the sites of the crystal that was found."""
        analysis = self.canvas.session.analysis
        names = [] if analysis is None or analysis.columns is None else list(analysis.columns.sites)
        if names != [self.sites.itemText(i) for i in range(self.sites.count())]:
            self.sites.clear()
            self.sites.addItems(names)
        self.button.setEnabled(bool(names))
