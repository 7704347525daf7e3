"""``CatalogWatch``: the catalog of a folder that changes while it is served. Standard library only, like ``catalog``.

Files may be added, replaced and removed at any time, with any tool. So the folder is checked now and then, which costs
one call of ``stat`` per file; metadata are read again only if something has changed.
"""

import logging
import threading
from collections.abc import Iterable
from pathlib import Path
from time import monotonic

from model_store.catalog import Catalog, CatalogError, Fingerprint, checkpoint_files, file_fingerprint, read_catalog
from model_store.style_images import FOLDER, TABLE

LOOK_EVERY_S = 1.0

log = logging.getLogger(__name__)


class CatalogWatch:
    """The current catalog of a folder; may be used from several threads."""

    def __init__(self, folder: Path) -> None:
        """Read the folder.

        Raises:
            CatalogError: There is no such folder.
        """
        self._folder = folder
        self._lock = threading.Lock()
        self._looked_at = monotonic()
        self._signature = _signature(folder)
        self._catalog = read_catalog(folder)
        _log_problems(Catalog(()), self._catalog)

    def now(self, style_ids: Iterable[str] = (), model_ids: Iterable[str] = ()) -> Catalog:
        """Return the catalog, at most ``LOOK_EVERY_S`` old; check the folder now if it lacks one of these.

        Args:
            style_ids: Styles that each of the models must have.
            model_ids: Models that must be there.
        """
        with self._lock:
            if monotonic() - self._looked_at > LOOK_EVERY_S or _lacks(self._catalog, style_ids, model_ids):
                self._look()
            return self._catalog

    def look(self) -> None:
        """Check the folder now."""
        with self._lock:
            self._look()

    def _look(self) -> None:
        self._looked_at = monotonic()
        signature = _signature(self._folder)  # before the metadata: later changes are found by the next check
        if signature == self._signature:
            return
        self._signature = signature
        try:
            catalog = read_catalog(self._folder)
        except (CatalogError, OSError) as err:
            # More likely an unmounted volume than a wish to serve nothing, for which the folder would be emptied.
            log.error("the checkpoints cannot be read, the last ones known stay: %s", err)
            return
        usable = [model.id for model in catalog.models if model.problem is None]
        log.info("the folder of checkpoints has changed", extra={"models": usable})
        _log_problems(self._catalog, catalog)
        self._catalog = catalog


def _log_problems(before: Catalog, after: Catalog) -> None:
    """Log each problem when it appears, and not again while it persists."""
    known = {model.id: model.problem for model in before.models}
    for model in after.models:
        if model.problem is not None and model.problem != known.get(model.id):
            log.error("a checkpoint cannot be used: %s", model.problem)


def _signature(folder: Path) -> tuple[tuple[str, Fingerprint | None], ...]:
    """Fingerprints that change when a checkpoint, preview or style image is added, replaced or removed."""
    paths = [*checkpoint_files(folder), folder / "previews", folder / FOLDER, folder / FOLDER / TABLE]
    return tuple((path.name, file_fingerprint(path)) for path in paths)


def _lacks(catalog: Catalog, style_ids: Iterable[str], model_ids: Iterable[str]) -> bool:
    wanted = set(model_ids)
    knowing = {style.id: style.models for style in catalog.styles}
    models = {model.id for model in catalog.models if model.problem is None}
    is_known = all(style_id in knowing and wanted.issubset(knowing[style_id]) for style_id in style_ids)
    return not (is_known and wanted <= models)
