"""The manifests below ``deploy/k8s``: built by kustomize, checked against the schemas, and true of the service."""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloudcoil.models.keda import v1alpha1
from paths import ROOT

from service.queue.jobs import LANES
from service.queue.keys import Keys
from service.settings import Settings

OVERLAYS = ("cpu", "gpu", "keda")
BIN = Path(sys.executable).parent
KUBERNETES = "1.34"
"""Oldest release that the manifests are for: a preStop hook may sleep."""

Document = dict[str, Any]


@cache
def built(overlay: str) -> tuple[Document, ...]:
    """All objects of an overlay."""
    kubectl = shutil.which("kubectl", path=str(BIN))
    assert kubectl is not None
    command = [kubectl, "kustomize", ROOT / "deploy/k8s/overlays" / overlay]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def found(overlay: str, kind: str, name: str) -> Document:
    (one,) = (one for one in built(overlay) if one["kind"] == kind and one["metadata"]["name"].startswith(name))
    return one


def pod(overlay: str, name: str) -> Document:
    return found(overlay, "Deployment", name)["spec"]["template"]["spec"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_keeps_to_its_schema(overlay: str, tmp_path: Path) -> None:
    own = [one for one in built(overlay) if not one["apiVersion"].startswith("keda.sh/")]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(own))
    command = [BIN / "kubernetes-validate", "--strict", "--no-warn", "-k", KUBERNETES, tmp_path / "all.yaml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(own) == 11


def test_kedas_objects_keep_to_theirs() -> None:
    theirs = [one for one in built("keda") if one["apiVersion"].startswith("keda.sh/")]
    assert [one["kind"] for one in theirs] == ["ScaledObject", "TriggerAuthentication"]
    for one in theirs:
        read = getattr(v1alpha1, one["kind"]).model_validate(one)
        assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == one, "it knows all fields"


def test_workers_are_scaled_by_the_length_of_every_lane() -> None:
    triggers = found("keda", "ScaledObject", "worker")["spec"]["triggers"]
    streams = [trigger["metadata"]["stream"] for trigger in triggers]
    assert streams == [Keys(Settings().key_prefix).stream(lane) for lane in LANES]
    assert not [trigger for trigger in triggers if {"lagCount", "pendingEntriesCount"} & set(trigger["metadata"])]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_settings_exist_and_agree_with_the_grace_periods(overlay: str) -> None:
    given = found(overlay, "ConfigMap", "stylize")["data"]
    names = {f"STYLIZE_{name.upper()}" for name in Settings.model_fields}
    assert set(given) <= names
    settings = Settings(**{name.removeprefix("STYLIZE_").lower(): value for name, value in given.items()})
    api, worker = pod(overlay, "api"), pod(overlay, "worker")
    pause_s = api["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert api["terminationGracePeriodSeconds"] > pause_s + settings.request_timeout_s
    assert worker["terminationGracePeriodSeconds"] > settings.drain_timeout_s
    assert settings.cold_start_s <= settings.request_timeout_s / 2
    assert (settings.cold_start_s > 0) == (overlay == "keda")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_have_few_rights(overlay: str) -> None:
    pods = [one["spec"]["template"]["spec"] for one in built(overlay) if one["kind"] in ("Deployment", "StatefulSet")]
    assert len(pods) == 3
    for spec in pods:
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"]
        assert not spec["automountServiceAccountToken"] and not spec["enableServiceLinks"]
        (container,) = spec["containers"]
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_an_api_pod_is_ready_without_a_worker() -> None:
    (container,) = pod("gpu", "api")["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_overlays_choose_the_device() -> None:
    (worker,) = pod("gpu", "worker")["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == 1
    (worker,) = pod("cpu", "worker")["containers"]
    assert {"name": "STYLIZE_DEVICE", "value": "cpu"} in worker["env"]
    assert "replicas" not in found("keda", "Deployment", "worker")["spec"]
