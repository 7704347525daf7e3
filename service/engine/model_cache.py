"""``ModelCache``: the networks on the device. Each is loaded when first used; those used last stay, within a limit.

A loaded network belongs to one state of its file. Once the file is replaced it is loaded again; once it is removed the
network leaves. A file that cannot be loaded is not tried again before it changes.

``get`` is called from the device's thread alone. What it changes is replaced, never changed in place, so that other
threads may read ``ids`` and ``problems`` at any time.
"""

import logging
from dataclasses import dataclass
from itertools import chain

from model_store import checkpoint
from model_store.catalog import CatalogError, Fingerprint, ModelEntry, file_fingerprint, problem_text
from model_store.catalog_watch import CatalogWatch
from model_store.checkpoint_metadata import CheckpointError
from model_store.network import Forward, StyleNetwork
from model_store.runtime import Runtime, to_runtime
from service.engine.backends import BackendName, forward_of
from service.errors import ModelUnavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A network on the device, and the catalog's entry of the file that it came from."""

    entry: ModelEntry
    network: StyleNetwork
    forward: Forward
    size_bytes: int


class ModelCache:
    """Those networks of a watched folder that are on the device."""

    def __init__(
        self,
        watch: CatalogWatch,
        runtime: Runtime,
        limit_bytes: float,
        backend: BackendName = "torch",
    ) -> None:
        """``limit_bytes`` is for parameters and buffers on the device; a larger network is there alone."""
        self._watch = watch
        self._runtime = runtime
        self._limit_bytes = limit_bytes
        self._backend = backend
        self._loaded: dict[str, LoadedModel] = {}  # in the order of their last use
        self._failures: dict[str, tuple[Fingerprint | None, str]] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the networks on the device, the one used last at the end."""
        return tuple(self._loaded)

    @property
    def size_bytes(self) -> int:
        """Bytes of all parameters and buffers on the device."""
        return sum(model.size_bytes for model in self._loaded.values())

    @property
    def problems(self) -> dict[str, str]:
        """Reasons why checkpoints cannot be used as they are now, by model id."""
        problems = {model.id: model.problem or self._failure(model) for model in self._watch.now().models}
        return {model_id: problem for model_id, problem in problems.items() if problem is not None}

    def get(self, model_id: str) -> LoadedModel:
        """Return the network of this id; load it if it is not there.

        Raises:
            ModelUnavailable: There is none (any more), or its checkpoint cannot be used.
        """
        self._remove_outdated()
        if (model := self._loaded.get(model_id)) is None:
            self._watch.look()  # what is loaded now must be what the catalog describes
            model = self._load(self._entry(model_id))
        self._loaded = {**self._without(model_id), model_id: model}
        return model

    def _entry(self, model_id: str) -> ModelEntry:
        try:
            return self._watch.now().model(model_id)
        except CatalogError as err:
            raise ModelUnavailable(str(err)) from err

    def _load(self, entry: ModelEntry) -> LoadedModel:
        """Read and check a checkpoint on the CPU, make room for it, then put it on the device."""
        if (problem := self._failure(entry)) is not None:
            raise _unusable(entry, problem)
        network = self._read(entry)
        forward = forward_of(network, self._backend)
        size_bytes = sum(tensor.nbytes for tensor in chain(network.parameters(), network.buffers()))
        if forward is not network:
            size_bytes *= 2  # the backend keeps weights of its own
        self._make_room(size_bytes)
        network.to(self._runtime.device)
        log.info("a network was loaded", extra={"model": entry.id, "mb": round(size_bytes / 2**20, 1)})
        return LoadedModel(entry, network, forward, size_bytes)

    def _read(self, entry: ModelEntry) -> StyleNetwork:
        """Read and check a checkpoint on the CPU; note a failure, so that it is not tried again."""
        problem = None
        try:
            network = to_runtime(checkpoint.load(entry.path), self._runtime.on_cpu)
        except (CheckpointError, OSError) as err:
            problem = problem_text(err, entry.path)
        except Exception as err:  # a defect of ours: it, too, must not be met again by every request
            log.exception("a checkpoint cannot be loaded", extra={"model": entry.id})
            problem = f"{entry.path.name}: it cannot be loaded ({type(err).__name__})"
        if file_fingerprint(entry.path) != entry.fingerprint:
            raise ModelUnavailable(f"the checkpoint of {entry.id!r} is being replaced or removed: try again")
        if problem is not None:
            log.error("a checkpoint cannot be used: %s", problem)
            self._failures = {**self._failures, entry.id: (entry.fingerprint, problem)}
            raise _unusable(entry, problem)
        return network

    def _make_room(self, size_bytes: int) -> None:
        """Remove the networks that were not used for longest, until as many bytes fit in, or none is left."""
        while self._loaded and self.size_bytes + size_bytes > self._limit_bytes:
            oldest = next(iter(self._loaded))
            self._loaded = self._without(oldest)
            log.info("a network left the device", extra={"model": oldest})

    def _remove_outdated(self) -> None:
        """Remove networks whose file was replaced or removed, or cannot be used any more."""
        fingerprints = {model.id: model.fingerprint for model in self._watch.now().models if model.problem is None}
        for model_id, model in self._loaded.items():
            if fingerprints.get(model_id) != model.entry.fingerprint:
                self._loaded = self._without(model_id)

    def _without(self, model_id: str) -> dict[str, LoadedModel]:
        return {name: model for name, model in self._loaded.items() if name != model_id}

    def _failure(self, entry: ModelEntry) -> str | None:
        """Return why this state of the file could not be loaded, if it was tried."""
        fingerprint, problem = self._failures.get(entry.id, (None, None))
        return problem if fingerprint == entry.fingerprint else None


def _unusable(entry: ModelEntry, problem: str) -> ModelUnavailable:
    return ModelUnavailable(f"the network {entry.id!r} cannot be used: {problem}")
