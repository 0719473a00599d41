"""How pocket, the text-to-image cascade that ships in this repository, is made: data, training, weights."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def training_packages() -> Iterator[None]:
    """Wraps the imports that only training and evaluation need. Raises SystemExit, one line, where one is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise SystemExit(
            f"pocket: the package {package} is not installed; training needs it: pip install -e '.[train]'"
        ) from None
