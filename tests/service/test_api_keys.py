"""Keys: made, kept as hashes, found again; and nothing that is wrong is shown."""

import hashlib
import re
import subprocess
import sys

import pytest

from service.api_keys import ApiKey, name_of, new_key, parse_keys
from service.settings import Settings, SettingsError, load_settings

ONE, OTHER = "1" * 64, "2" * 64


def test_a_new_key_is_known_and_another_is_not() -> None:
    secret, key = new_key("alice")
    assert re.fullmatch(r"stylize_[\w-]{43}", secret)
    assert key == ApiKey("alice", hashlib.sha256(secret.encode()).hexdigest())
    keys = [ApiKey("bob", ONE), key]
    assert name_of(secret, keys) == "alice"
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), key.sha256, str(key), "\udcff", "ü"):
        assert name_of(wrong, keys) is None


def test_two_keys_never_are_the_same() -> None:
    assert len({new_key("x")[0] for _ in range(50)}) == 50


def test_a_name_may_have_several_keys() -> None:
    (old, first), (new, second) = new_key("alice"), new_key("alice")
    keys = parse_keys(f"{first},{second}")
    assert (name_of(old, keys), name_of(new, keys)) == ("alice", "alice")


def test_what_is_around_entries_does_not_count() -> None:
    assert parse_keys(f" a:{ONE} ,\n b.c-d_1 : {OTHER.upper()},") == (ApiKey("a", ONE), ApiKey("b.c-d_1", OTHER))


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("", "it is empty: add a key; or remove the variable"),
        (" , ", "it is empty"),
        ("stylize_SECRET", "entry 1 is not name:sha256"),
        (f"a:{ONE},stylize_SECRET", "entry 2 is not name:sha256"),
        ("alice:SECRET", "entry 1 is not name:sha256"),
        (f"alice:{ONE[1:]}", "`stylize key NAME` makes a key and its entry"),
        (f"SECRET name:{ONE}", "entry 1 is not"),
        (f":{ONE}", "entry 1 is not"),
        (f"a:{ONE},b:{ONE}", "entry 2 has the same key as an earlier one"),
    ],
)
def test_a_bad_setting_names_itself_and_shows_no_key(monkeypatch: pytest.MonkeyPatch, text: str, phrase: str) -> None:
    monkeypatch.setenv("STYLIZE_API_KEYS", text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()
    assert line.startswith("STYLIZE_API_KEYS: ")
    assert phrase in line
    assert "SECRET" not in line
    assert ONE[:9] not in line


def test_settings_do_not_show_keys() -> None:
    assert ONE not in repr(Settings(api_keys=f"alice:{ONE}"))


@pytest.mark.processes
def test_the_command_makes_a_key_that_the_setting_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run([sys.executable, "-m", "service", "key", "alice"], capture_output=True, text=True, check=True)
    secret, entry = re.fullmatch(r"key:   (\S+)\nentry: STYLIZE_API_KEYS=(\S+)\n", done.stdout).groups()
    monkeypatch.setenv("STYLIZE_API_KEYS", entry)
    assert name_of(secret, load_settings().api_keys) == "alice"


@pytest.mark.processes
def test_the_command_refuses_a_name_that_the_setting_would_not_take() -> None:
    done = subprocess.run([sys.executable, "-m", "service", "key", "al,ice"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "got the name 'al,ice': allowed are 1 to 64 of" in done.stderr
