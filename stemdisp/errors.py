"""The errors a user can meet.

    StemdispError
    |-- ReadError         a file cannot be read as a STEM image
    |-- RecipeError       a recipe (or a command's options) asks for something impossible
    |-- CalibrationError  the pixel size is missing or contradicts the crystal
    |-- StageError        a stage finds nothing it could honestly report
    `-- DeviceError       the device that was asked for cannot compute

Every message is one line: the thing, its value, the limit, the next step.
"""


class StemdispError(Exception):
    """Base of every error stemdisp raises on purpose."""


class ReadError(StemdispError, OSError):
    """A file cannot be read as a STEM image."""

    def __str__(self) -> str:
        return " ".join(str(part) for part in self.args)


class RecipeError(StemdispError, ValueError):
    """A recipe or an option asks for something impossible."""


class CalibrationError(StemdispError, ValueError):
    """The pixel size is missing, or cannot be true."""


class StageError(StemdispError, RuntimeError):
    """A stage of the analysis finds nothing it could honestly report."""


class DeviceError(StemdispError, RuntimeError):
    """The device that was asked for cannot compute."""
