"""Fetches from the Hugging Face Hub: lists a repository at its pinned commit, downloads it, and explains failures.

The Hub library handles the token (HF_TOKEN, or `hf auth login`); it is neither shown nor recorded.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from huggingface_hub import HfApi, constants, errors, get_token, snapshot_download

from ...records.errors import ModelError
from ..provider import variable
from .weights import Repository, wanted


class Listing(NamedTuple):
    """The files to fetch from a repository, with sizes in bytes, at a commit."""

    repository: Repository
    commit: str
    sizes: dict[str, int]


def listing(name: str, repository: Repository, components: Sequence[str]) -> Listing:
    """Lists the files of these components of a stage, and checks access to gated ones. Raises ModelError."""
    if repository.gated and not get_token():
        raise ModelError(
            f"{name}: {repository.id} needs a token, and none is set; accept the licence at "
            f"{_page(repository)}, then run `hf auth login` or set HF_TOKEN"
        )
    with _refusals(name, repository):
        if repository.gated:
            HfApi().auth_check(repository.id)
        info = HfApi().model_info(repository.id, revision=repository.commit or "main", files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    chosen = wanted(sorted(sizes), components)
    if not any(file.endswith(".safetensors") for file in chosen):
        raise ModelError(f"{name}: {repository.id} has no safetensors at commit {info.sha}; see {_page(repository)}")
    return Listing(repository, str(info.sha), {file: sizes[file] for file in chosen})


def fetch(name: str, found: Listing) -> None:
    """Fetches a listing's files into the Hub's cache, skipping those present. Raises ModelError."""
    with _refusals(name, found.repository):
        snapshot_download(found.repository.id, revision=found.commit, allow_patterns=list(found.sizes))


def _page(repository: Repository) -> str:
    return f"{constants.ENDPOINT}/{repository.id}"


@contextmanager
def _refusals(name: str, repository: Repository) -> Iterator[None]:
    """Turns an error of the Hub or the network into one line that says what to do."""

    def refused(why: str) -> ModelError:
        return ModelError(f"{name}: {repository.id}: {why}")

    offline = f"the Hub cannot be reached; connect to the network, or set {variable(name)} to a folder with the weights"
    try:
        yield
    except errors.GatedRepoError as error:
        accept = f"its licence is not accepted; accept it at {_page(repository)} with the token's account"
        raise refused(accept) from error
    except errors.RevisionNotFoundError as error:
        raise refused(
            f"commit {repository.commit} does not exist; the weights were withdrawn or the pin is wrong"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise refused("the token is not valid, or the repository is gone (401); run `hf auth login` again") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        why = f"the Hub answered {status}"
        if status in (401, 403):
            why += f"; is the licence accepted at {_page(repository)}, and may the token read gated repositories?"
        raise refused(why) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HTTPError) as error:
        raise refused(offline) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise refused(
                f"the disk of {constants.HF_HUB_CACHE} is full; free some space and run the command again"
            ) from error
        raise
