"""Settings: one key in slime's YAML, a file, the environment; everything unknown is refused."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from coderm_slime.settings import SettingsError, load_settings


def from_yaml(tree: object, environ: dict[str, str] | None = None) -> object:
    return load_settings(SimpleNamespace(coderm=tree), environ or {}).rm


def test_defaults_hold_when_slime_hands_over_nothing() -> None:
    assert load_settings(SimpleNamespace(), {}).rm.clip == 4.0
    assert load_settings(None, {}).rm.urls == ()


def test_slimes_yaml_is_read_and_numbers_that_yaml_leaves_as_text_are_converted() -> None:
    rm = from_yaml({"rm": {"urls": ["http://a:1"], "deadline_s": "1e1"}})
    assert (rm.urls, rm.deadline_s) == (("http://a:1",), 10.0)


def test_the_environment_wins_over_the_file_and_options_win_over_both() -> None:
    environ = {"CODERM_RM__URLS": "http://a:1, http://b:2", "CODERM_RM__CLIP": "2", "PATH": "/bin"}
    args = SimpleNamespace(coderm={"rm": {"clip": 3, "attempts": 5}})
    rm = load_settings(args, environ, options={"rm": {"urls": ["https://c"]}}).rm
    assert (rm.urls, rm.clip, rm.attempts) == (("https://c",), 2.0, 5)
    assert load_settings(args, environ).rm.urls == ("http://a:1", "http://b:2")


def test_a_settings_file_is_read_where_there_is_no_slime(tmp_path: Path) -> None:
    path = tmp_path / "coderm.yaml"
    path.write_text("coderm:\n  rm:\n    thinking: always\n")
    assert load_settings(None, {"CODERM_CONFIG": str(path)}).rm.thinking == "always"


@pytest.mark.parametrize(
    ("tree", "environ", "named"),
    [
        ({"rm": {"url": "http://a"}}, {}, r"coderm\.rm\.url: .*known here: api_key_variable, .*urls"),
        ({"rn": {}}, {}, r"coderm\.rn.*known here: .*\brm\b"),
        ({}, {"CODERM_RM__CLIPP": "1"}, r"coderm\.rm\.clipp"),
        ({}, {"CODERM_RMM__CLIP": "1"}, r"coderm\.rmm"),
        ({}, {"CODERM_RM_CLIP": "1"}, r"CODERM_RM_CLIP sets nothing; the setting rm\.clip is CODERM_RM__CLIP"),
        ({"rm": {"urls": ["http://a:1/v1/"]}}, {}, r"base address, without a path"),
        ({"rm": {"urls": ["http://a:1 http://b:2"]}}, {}, r"coderm\.rm\.urls\.0"),
        ({"rm": {"clip": 0}}, {}, r"coderm\.rm\.clip = 0"),
        ({"rm": {"clip": "nan"}}, {}, r"coderm\.rm\.clip"),
        ({"rm": {"urls": ["localhost:30000"]}}, {}, r"coderm\.rm\.urls\.0 = 'localhost:30000'"),
        ({"rm": {"deadline_s": -1}}, {}, r"coderm\.rm\.deadline_s = -1"),
        ({"rm": {"urls": ["127.0.0.1:30000"]}}, {}, r"0 = '127\.0\.0\.1:30000': .* must start with http://"),
        ({"rm": {"urls": ["http://a:99999"]}}, {}, "port from 1 to 65535"),
        ({"rm": {"urls": ["http://a:0"]}}, {}, "port from 1 to 65535"),
        ({"rm": {"urls": ["http://:30000"]}}, {}, "http://HOST:PORT"),
        ({"rm": {"urls": ["http://[::1"]}}, {}, "http://HOST:PORT"),
        ({"rm": {"urls": ["http://a:1/?q=1"]}}, {}, "no white space"),
        ({"rm": {"urls": ["http://a:1/generate"]}}, {}, "base address, without a path"),
        ({"rm": {"urls": ["http://a:1/encode/"]}}, {}, "base address, without a path"),
        ({"rm": {"clip": True}}, {}, r"coderm\.rm\.clip = True: .*true and false mean nothing here"),
        ({"rm": {"attempts": True}}, {}, r"coderm\.rm\.attempts = True"),
        ({"rm": {"max_tokens": False}}, {}, r"coderm\.rm\.max_tokens = False"),
        ({"rm": {"on_failure": False}}, {}, r"coderm\.rm\.on_failure = False: .*on and off are booleans"),
        ({"rm": 3}, {"CODERM_RM__CLIP": "1"}, r"coderm\.rm = 3"),
        ("rm", {}, "must hold sections"),
    ],
)
def test_a_bad_setting_is_named_with_its_value(tree: object, environ: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        from_yaml(tree, environ)


@pytest.mark.parametrize(
    ("tree", "environ"),
    [
        ({"rm": {"urls": ["http://user:hush@a:1"]}}, {}),
        ({"rm": {"urls": ["http://user:hu/hush@a:1"]}}, {}),
        ({"rm": {"urls": ["user:hush@a:1"]}}, {}),
        ({"rm": {"api_key": "hush"}}, {}),
        ({"rm": {"urls": "http://a", "model_name": "m", "api_key_variable": "hush"}}, {}),
        ({"rm": {"api_key_variable": ["hush"]}}, {}),
        ({"rm": {"clip": {"password": "hush"}}}, {}),
        ({"rn": {"api_key": "hush"}}, {}),
        ([{"rm": {"api_key": "hush"}}], {}),
        ({}, {"CODERM_RM__TOKEN": "hush"}),
        ({}, {"CODERM_RM__URLS": "http://user:hush@a:1"}),
    ],
    ids=str,
)
def test_an_error_does_not_show_what_may_be_secret(tree: object, environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="coderm") as caught:
        from_yaml(tree, environ)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://a", "https://a.b:65535", "http://[::1]:8000", "http://a:1/proxy/rm"])
def test_a_base_address_is_taken_without_its_last_slash(url: str) -> None:
    assert from_yaml({"rm": {"urls": [f"{url}/"]}}).urls == (url,)


def test_a_config_variable_set_to_nothing_is_not_set() -> None:
    assert load_settings(None, {"CODERM_CONFIG": "", "CODERM_RM__ATTEMPTS": "4"}).rm.attempts == 4


@pytest.mark.parametrize("content", [None, "rm: {}", "coderm: [", "- coderm"])
def test_an_unusable_settings_file_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "coderm.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=str(path)):
        load_settings(None, {"CODERM_CONFIG": str(path)})


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings(None, {}).rm.clip = 1.0
