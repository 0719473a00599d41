"""The errors that a user can mend. The message is one line (a DrawingError adds statements): what is wrong, where, what
to do. The command line prints it and exits with status 1.

Their wording is nobody's dependency: no section becomes stale by it (see `generators.running.definitions`).
"""


class ReportError(Exception):
    """The base of all errors below."""


class DeclarationError(ReportError):
    """A declaration of a figure or a section is invalid."""


class ViewError(ReportError):
    """A view does not exist, is not orthogonal, or has a wrong inverse."""


class InputError(ReportError):
    """An input image is missing, ambiguous or unreadable."""


class ModelError(ReportError):
    """A model cannot be loaded or run."""


class SectionError(ReportError):
    """A requested section does not exist, or its module is invalid."""


class DrawingError(ReportError):
    """A `draw` raised an error, or did not return a valid panel.

    The first line names the figure and the case and says what is wrong. If `draw` raised, the statements of the
    section's code in the traceback follow, one per line.
    """


class WorkerError(ReportError):
    """Workers cannot be started, or one ended before its section was done."""


class LockError(ReportError):
    """A lock was lost while it was held."""


class RequestError(ReportError):
    """A picture that is asked for cannot be drawn or written so."""


class BuildError(ReportError):
    """The page cannot be built. One line per problem."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ObservationError(ReportError):
    """An observation cannot be bound to pictures, or does not stand in the prose as it was read."""


class VerifyError(ReportError):
    """A request cannot be verified."""


class PublishError(ReportError):
    """The site cannot be published."""


class SealError(ReportError):
    """A record's seal is missing or does not match its content."""


class PanelError(ReportError):
    """A panel's file is missing or does not match its record."""


class TexError(ReportError):
    """A formula is not valid TeX."""


class JudgeError(ReportError):
    """The file of judged samples is unreadable."""


class CitationError(ReportError):
    """CITATION.cff is missing or incomplete."""


class SettingsError(ReportError):
    """report/report.toml is missing or invalid. One line per mistake."""
