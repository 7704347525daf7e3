"""Settings: read once, frozen, and clear about what is wrong."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def no_settings_of_this_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("STYLIZE_"):
            monkeypatch.delenv(name)


def test_defaults_need_no_environment() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.redis_url) == ("127.0.0.1", 8000, None)
    assert settings.max_wait_ms == 0
    assert settings.heartbeat_s == pytest.approx(settings.lease_ms / 3 / 1000)


def test_variables_are_read_with_their_types(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"PORT": "9001", "REQUEST_TIMEOUT_S": "2.5", "CHECKPOINTS": "/models", "DTYPE": "float32"}
    for name, value in values.items():
        monkeypatch.setenv(f"STYLIZE_{name}", value)
    settings = load_settings()
    assert (settings.port, settings.request_timeout_s, settings.dtype) == (9001, 2.5, "float32")
    assert settings.checkpoints == Path("/models")


def test_lists_are_read_without_json(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (load_settings().api_keys, load_settings().cors_origins) == ((), ())
    monkeypatch.setenv("STYLIZE_CORS_ORIGINS", " https://App.example , http://localhost:3000,")
    monkeypatch.setenv("STYLIZE_API_KEYS", f"alice:{'a' * 64},bob:{'b' * 64}")
    settings = load_settings()
    assert settings.cors_origins == ("https://app.example", "http://localhost:3000")
    assert [key.name for key in settings.api_keys] == ["alice", "bob"]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "http", "integer"),
        ("PORT", "0", "greater than or equal to 1"),
        ("PORT", "70000", "less than or equal to 65535"),
        ("KEY_PREFIX", "a:b", "pattern"),
        ("KEY_PREFIX", "", "pattern"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("LOG_FORMAT", "xml", "'json' or 'text'"),
        ("MAX_BODY_BYTES", "20MB", "integer"),
        ("MAX_IMAGE_PIXELS", "0", "greater than or equal to 1"),
        ("BODY_IDLE_S", "0", "greater than 0"),
        ("MAX_REQUESTS_PER_KEY", "0", "greater than or equal to 1"),
        ("CORS_ORIGINS", "app.example", "scheme, host and port alone, like https://app.example, or *"),
        ("CORS_ORIGINS", "https://app.example/", "is no origin"),
        ("CORS_ORIGINS", "https://a.example,*,ftp://b.example", "'ftp://b.example' is no origin"),
        (
            "ALLOWED_HOSTS",
            "https://app.example",
            "is no name of a host: without scheme and port, like app.example, or *",
        ),
        ("MAX_SIZE_PX", "63", "greater than or equal to 64"),
        ("REQUEST_TIMEOUT_S", "0", "greater than 0"),
        ("REQUEST_TIMEOUT_S", "inf", "finite"),
        ("RESULT_TTL_S", "nan", "number"),
        ("LEASE_MS", "10", "greater than or equal to 200"),
        ("MAX_STYLES", "-1", "greater than or equal to 1"),
        ("MAX_DELIVERIES", "0", "greater than or equal to 1"),
        ("WORKERS", "many", "integer"),
        ("DTYPE", "int8", "'auto', 'float32', 'bfloat16' or 'float16'"),
        ("MAX_BATCH_SIZE", "0", "greater than or equal to 1"),
        ("MAX_BATCH_PIXELS", "1.5", "integer"),
        ("MAX_WAIT_MS", "-1", "greater than or equal to 0"),
        ("STYLE_CACHE_ENTRIES", "0", "greater than or equal to 1"),
        ("MODEL_MEMORY_MB", "0", "greater than or equal to 1"),
        ("FORWARD_TIMEOUT_S", "-3", "greater than 0"),
        ("DRAIN_TIMEOUT_S", "soon", "number"),
    ],
)
def test_a_bad_value_names_variable_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(f"STYLIZE_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"STYLIZE_{name}={value!r}: ")
    assert allowed in line


def test_every_bad_value_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_PORT", "x")
    monkeypatch.setenv("STYLIZE_WORKERS", "0")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert [line.split("=")[0] for line in str(caught.value).splitlines()] == ["STYLIZE_PORT", "STYLIZE_WORKERS"]


def test_settings_are_frozen_and_closed() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1
    with pytest.raises(ValidationError, match="Extra inputs"):
        Settings(prot=1)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    assert description.endswith(".")
