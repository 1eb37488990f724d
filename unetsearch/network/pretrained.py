"""Pretrained weights of backbones, from timm's own cache; they are fetched into it where there is a network."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from unetsearch.errors import ArchitectureError
from unetsearch.space.backbone import PREFIX

WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
"""How the weights of a repository are called, the better one first."""

NETWORK_SECONDS = 5.0


def pretrained_file(name: str) -> Path:
    """Where the pretrained weights of `timm/<name>` lie on this machine.

    Raises ArchitectureError where there are none, or where they are neither in the cache nor to be had now.
    """
    import timm
    from huggingface_hub import try_to_load_from_cache

    config = timm.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        what = (
            f"weights only at {config.url}, which are not fetched" if config and config.url else "no pretrained weights"
        )
        raise ArchitectureError(f"{PREFIX}{name}: timm has {what}; set pretrained: false")
    repository, _, revision = config.hf_hub_id.partition("@")
    files = [config.hf_hub_filename] if config.hf_hub_filename else WEIGHTS_FILES
    for file in files:
        cached = try_to_load_from_cache(repository, file, revision=revision or None)
        if isinstance(cached, str):
            return _whole(name, Path(cached))
    for file in files:
        found = _fetched(name, repository, file, revision or None)
        if found is not None:
            return found
    raise ArchitectureError(f"{PREFIX}{name}: {repository} holds no weights; set pretrained: false")


def _whole(name: str, file: Path) -> Path:
    """The file itself. Raises ArchitectureError where it is a damaged one."""
    if file.suffix == ".safetensors":
        try:
            with safe_open(file, "pt"):
                pass
        except (OSError, SafetensorError) as error:
            raise ArchitectureError(
                f"{PREFIX}{name}: {file} is damaged ({error}): remove it, to fetch it again"
            ) from None
    return file


def _fetched(name: str, repository: str, file: str, revision: str | None) -> Path | None:
    """The file, fetched into the cache; None where the repository has none of that name."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.errors import EntryNotFoundError

    try:  # one short question first: without a network the download is tried for most of a minute
        get_hf_file_metadata(hf_hub_url(repository, file, revision=revision), timeout=NETWORK_SECONDS)
        return Path(hf_hub_download(repository, file, revision=revision))
    except EntryNotFoundError:
        return None
    except Exception as error:  # whatever the network and its library come up with
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ArchitectureError(
            f"{PREFIX}{name}: its pretrained weights ({repository}) are not on this machine and cannot be fetched now "
            f"({reason}). Where there is a network, run\n"
            f"  python -c \"import timm; timm.create_model('{name}', pretrained=True)\"\n"
            f"and bring its folder {HF_HUB_CACHE} to the same place here; or set pretrained: false"
        ) from None
