"""Flags, variables and a file become one Settings, or every problem at once."""

from pathlib import Path

import pytest

from exporter.config import (
    CONFIG_FILE,
    OPTIONS,
    BatchJobsSettings,
    Option,
    load_demo_settings,
    load_once_settings,
    load_settings,
    reload_settings,
    unknown_variables,
)
from exporter.errors import ConfigurationError
from exporter.task.model import Selection

from ...support.configuration import (
    CANARY,
    PREFIX,
    URL,
    file_problems,
    flag_problems,
    load_with_file,
    problems,
    settings,
)

ADMIN = {"batch-jobs.url": "https://cdr.example.org:9000", "batch-jobs.module": "persistence"}
ADMIN_USER = {"batch-jobs.username": "me", "batch-jobs.password-file": "/dev/null"}
USE_ADMIN_USER = "use --batch-jobs.username and --batch-jobs.password-file"


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default() -> None:
    name, variable, yaml = "fhir.page-size", PREFIX + "FHIR_PAGE_SIZE", "fhir: {page-size: 3}"
    url = {"fhir.url": [URL]}
    assert load_with_file(url | {name: ["1"]}, {variable: "2"}, yaml).fhir.page_size == 1
    assert load_with_file(url, {variable: "2"}, yaml).fhir.page_size == 2
    assert load_with_file(url, {}, yaml).fhir.page_size == 3
    assert load_with_file(url, {}).fhir.page_size == 200


def test_an_overridden_value_is_not_validated() -> None:
    assert load_with_file({"fhir.url": [URL], "pairs.max": ["7"]}, {PREFIX + "PAIRS_MAX": "many"}).pairs_max == 7


def test_an_empty_variable_counts_as_unset() -> None:
    assert load_with_file({"fhir.url": [URL]}, {PREFIX + "DEADLINE": " "}, "deadline: 2h").deadline.seconds == 7200


def test_empty_text_clears_tag_and_code_in_every_source() -> None:
    assert settings(**{"fhir.tag": "", "fhir.code": ""}).fhir.selection == Selection()
    variables = {PREFIX + "FHIR_TAG": "", PREFIX + "FHIR_CODE": ""}
    assert load_with_file({"fhir.url": [URL]}, variables).fhir.selection == Selection()
    assert settings('fhir: {tag: "", code: ""}').fhir.selection == Selection()


def test_search_parameters_are_repeated_joined_or_listed() -> None:
    wanted = (("owner", "Organization/1"), ("_source", "http://a b"))
    texts = [f"{name}={value}" for name, value in wanted]
    assert load_with_file({"fhir.url": [URL], "fhir.search": texts}, {}).fhir.search == wanted
    assert load_with_file({"fhir.url": [URL]}, {PREFIX + "FHIR_SEARCH": "&".join(texts)}).fhir.search == wanted
    assert settings(f"fhir: {{search: ['{texts[0]}', '{texts[1]}']}}").fhir.search == wanted
    assert settings(f"fhir: {{search: '{texts[0]}'}}").fhir.search == wanted[:1]


def test_a_flag_turns_off_what_a_variable_turned_on() -> None:
    variables = {PREFIX + "FHIR_REWRITE_LINKS": "yes"}
    assert load_with_file({"fhir.url": [URL]}, variables).fhir.rewrite_links
    assert not load_with_file({"fhir.url": [URL], "fhir.rewrite-links": ["false"]}, variables).fhir.rewrite_links


def test_what_is_on_by_default_is_turned_off_in_every_place() -> None:
    assert load_with_file({"fhir.url": [URL]}, {}).history
    assert not load_with_file({"fhir.url": [URL], "history": ["false"]}, {}).history
    assert not load_with_file({"fhir.url": [URL]}, {PREFIX + "HISTORY": "no"}).history
    assert not settings("history: false").history


def test_the_demo_takes_its_own_options_only() -> None:
    assert load_demo_settings({"speed": ["2.5"]}, {PREFIX + "FHIR_URL": "nonsense"}).speed == 2.5
    assert problems(lambda: load_demo_settings({"speed": ["0"]}, {})) == (
        "--speed: must be a number from 0.1 to 100000",
    )


def test_a_missing_url_is_reported_with_the_three_places_for_it() -> None:
    assert problems(lambda: load_with_file({}, {})) == (
        "--fhir.url: is required (or FHIR_TASK_EXPORTER_FHIR_URL, or the file)",
    )


def test_a_problem_of_a_variable_has_its_name() -> None:
    assert problems(lambda: load_with_file({"fhir.url": [URL]}, {PREFIX + "POLL_TIMEOUT": "soon"})) == (
        "FHIR_TASK_EXPORTER_POLL_TIMEOUT: must be a duration such as 500ms, 30s, 5m, 1h30m or 1d",
    )


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ({"fhir.username": "me"}, "--fhir.username: requires --fhir.password-file"),
        ({"fhir.password-file": "/dev/null"}, "--fhir.password-file: requires --fhir.username"),
        ({"fhir.client-key-file": "/dev/null"}, "--fhir.client-key-file: requires --fhir.client-cert-file"),
        (
            {"fhir.bearer-token-file": "/dev/null", "fhir.username": "me", "fhir.password-file": "/dev/null"},
            "--fhir.bearer-token-file: cannot be combined with --fhir.username; choose one way to authenticate",
        ),
        (
            {"fhir.url": "http://cdr.example.org/fhir", "fhir.bearer-token-file": "/dev/null"},
            "--fhir.url: would send credentials unencrypted; use https or set --fhir.allow-plain-http",
        ),
        ({"batch-jobs.url": "https://cdr:9000"}, "--batch-jobs.url: requires --batch-jobs.module"),
        ({"batch-jobs.module": "persistence"}, "--batch-jobs.module: requires --batch-jobs.url"),
        (
            {"batch-jobs.username": "me", "batch-jobs.password-file": "/dev/null"},
            "--batch-jobs.username: requires --batch-jobs.url",
        ),
        (ADMIN | {"batch-jobs.username": "me"}, "--batch-jobs.username: requires --batch-jobs.password-file"),
        (
            ADMIN | {"batch-jobs.password-file": "/dev/null"},
            "--batch-jobs.password-file: requires --batch-jobs.username",
        ),
        (
            ADMIN | ADMIN_USER | {"batch-jobs.url": "http://cdr.example.org:9000"},
            "--batch-jobs.url: would send credentials unencrypted; use https or set --fhir.allow-plain-http",
        ),
        (
            ADMIN | {"batch-jobs.url": f"https://{CANARY}:{CANARY}@cdr"},
            "--batch-jobs.url: must not contain a user name or password; " + USE_ADMIN_USER,
        ),
        (ADMIN | {"batch-jobs.url": "https://cdr/?a=b"}, "--batch-jobs.url: must not contain a query or fragment"),
        *(
            (
                ADMIN | {"batch-jobs.module": module},
                "--batch-jobs.module: must be the id of a module: letters, digits, underscores, dots and hyphens",
            )
            for module in ("..", "a/b", "a?b", "a b", "%2e", "m" * 101)
        ),
        (
            {"poll.min-interval": "10m"},
            "--poll.min-interval: must be at most --poll.max-staleness",
        ),
        (
            {"poll.max-staleness": "1s"},
            "--poll.max-staleness: must be at least --poll.min-interval",
        ),
    ],
)
def test_conflicting_options_are_reported(flags: dict[str, str], problem: str) -> None:
    assert flag_problems(**flags) == (problem,)


def test_every_way_to_authenticate_is_kept_off_unencrypted_connections() -> None:
    credentials = {option.name for option in OPTIONS if option.credential}
    assert credentials == {
        *("fhir.bearer-token-file", "fhir.username", "fhir.password-file"),
        *("batch-jobs.username", "batch-jobs.password-file"),
        *("fhir.oauth2.client-id", "fhir.oauth2.client-secret-file", "fhir.oauth2.private-key-file"),
    }
    basic = {"fhir.url": "http://cdr/fhir", "fhir.username": "me", "fhir.password-file": "/dev/null"}
    assert len(flag_problems(**basic)) == 1


@pytest.mark.parametrize("url", ["http://localhost:8000/fhir", "http://127.0.0.2/fhir", "http://[::1]/fhir"])
def test_credentials_may_go_unencrypted_to_this_machine(url: str) -> None:
    assert settings(**{"fhir.url": url, "fhir.bearer-token-file": "/dev/null"}).fhir.url == url


@pytest.mark.parametrize("host", ["localhost.example.org", "127.0.0.1.example.org", "0.0.0.0"])
def test_a_name_that_only_looks_like_this_machine_is_another(host: str) -> None:
    assert len(flag_problems(**{"fhir.url": f"http://{host}/fhir", "fhir.bearer-token-file": "/dev/null"})) == 1


def test_credentials_go_unencrypted_where_that_is_allowed() -> None:
    flags = {"fhir.url": "http://cdr/fhir", "fhir.bearer-token-file": "/dev/null", "fhir.allow-plain-http": "true"}
    assert settings(**flags).fhir.allow_plain_http


def test_batch_jobs_are_off_unless_they_are_configured() -> None:
    assert settings().batch_jobs == BatchJobsSettings()
    found = settings(**ADMIN, **ADMIN_USER).batch_jobs
    assert (found.url, found.module, found.username) == ("https://cdr.example.org:9000", "persistence", "me")


def test_credentials_of_one_server_are_no_reason_to_refuse_the_address_of_the_other() -> None:
    plain = {"fhir.url": "http://cdr.example.org/fhir"}
    assert settings(**plain, **ADMIN, **ADMIN_USER).fhir.url == plain["fhir.url"]
    bearer = {"fhir.bearer-token-file": "/dev/null", "batch-jobs.url": "http://cdr.example.org:9000"}
    assert settings(**(ADMIN | bearer)).batch_jobs.url == bearer["batch-jobs.url"]


def test_a_conflict_is_reported_where_the_option_was_given() -> None:
    assert file_problems("fhir:\n  username: me") == (
        "--config.file line 2, fhir.username: requires --fhir.password-file",
    )


def test_all_problems_of_all_sources_are_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("poll:\n  timeout: x\nnonsense: 1\nreasons: [{reason: A}]\nfhir: {username: me}\n")
    flags = {"config.file": [str(file)], "fhir.page-size": ["x"], "fhir.search": ["a", "b=c", "d"]}
    assert problems(lambda: load_settings(flags, {PREFIX + "PAIRS_MAX": "x"})) == (
        "--config.file line 3, nonsense: unknown key",
        "--config.file line 4, reasons.reason: must be lowercase letters, digits and _, such as member_match",
        "--config.file line 4, reasons.pattern: is missing",
        "--fhir.url: is required (or FHIR_TASK_EXPORTER_FHIR_URL, or the file)",
        "--fhir.search: must be name=value, as in a FHIR search",
        "--fhir.page-size: must be a whole number from 1 to 500",
        "--config.file line 2, poll.timeout: must be a duration such as 500ms, 30s, 5m, 1h30m or 1d",
        "FHIR_TASK_EXPORTER_PAIRS_MAX: must be a whole number from 1 to 10000",
        "--config.file line 5, fhir.username: requires --fhir.password-file",
    )


@pytest.mark.parametrize("option", [*OPTIONS, CONFIG_FILE], ids=lambda option: option.name)
def test_no_problem_repeats_the_value_in_any_source(option: Option) -> None:
    bad = f"|{CANARY}\x07://?{CANARY}:"
    for flags, variables in (({option.name: [bad]}, {}), ({}, {option.variable: bad})):
        reported = problems(lambda flags=flags, variables=variables: load_settings(flags, variables))  # type: ignore[misc]
        assert CANARY not in repr(reported)
    if option is not CONFIG_FILE:
        group = "".join(f"{part}: {{" for part in option.name.split(".")[:-1])
        key = option.name.rpartition(".")[2]
        yaml = f'{group}{key}: "|{CANARY}\\a://?{CANARY}:"{"}" * group.count("{")}'
        reported = file_problems(yaml) if option.name != "fhir.url" else problems(lambda: load_with_file({}, {}, yaml))
        assert CANARY not in repr(reported)


def test_the_file_is_named_by_flag_or_variable(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"\N{BYTE ORDER MARK}fhir: {{url: '{URL}'}}", "utf-8")
    assert load_settings({"config.file": [str(file)]}, {}).fhir.url == URL
    assert load_settings({}, {CONFIG_FILE.variable: str(file)}).fhir.url == URL


def test_a_missing_file_is_the_only_problem() -> None:
    assert problems(lambda: load_settings({}, {CONFIG_FILE.variable: "/no/such/file"})) == (
        "FHIR_TASK_EXPORTER_CONFIG_FILE: file does not exist",
    )


def test_unknown_variables_with_our_prefix_are_named() -> None:
    variables = {PREFIX + "PORT": "tcp://10.0.0.1:9842", PREFIX + "SPEED": "1", PREFIX + "LEDGER": "x", "PATH": "/bin"}
    assert unknown_variables(variables) == ("FHIR_TASK_EXPORTER_PORT",)
    assert load_with_file({"fhir.url": [URL]}, variables).ledger == "x"


def test_a_relative_path_in_the_file_starts_at_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "token").write_text("secret")
    (tmp_path / "etc" / "config.yaml").write_text(f"fhir: {{url: {URL}, bearer-token-file: token}}\nledger: ../l.db\n")
    monkeypatch.chdir(tmp_path)
    found = load_settings({"config.file": ["etc/config.yaml"]}, {})
    assert found.fhir.bearer_token_file == "etc/token"
    assert found.ledger == "etc/../l.db"


def test_a_relative_path_of_a_flag_starts_where_the_process_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text(f"fhir: {{url: {URL}}}\n")
    monkeypatch.chdir(tmp_path)
    found = load_settings({"config.file": ["config.yaml"], "ledger": ["l.db"]}, {"FHIR_TASK_EXPORTER_LEDGER": "no.db"})
    assert found.ledger == "l.db"


@pytest.mark.parametrize(("text", "ledger"), [("/var/l.db", "/var/l.db"), ("':memory:'", ":memory:")])
def test_other_ledgers_of_the_file_stay_what_they_are(text: str, ledger: str) -> None:
    assert settings(f"ledger: {text}").ledger == ledger


def test_once_keeps_no_ledger_unless_it_is_told_to() -> None:
    assert load_once_settings({"fhir.url": [URL]}, {}).ledger == ":memory:"
    assert load_once_settings({"fhir.url": [URL]}, {"FHIR_TASK_EXPORTER_LEDGER": "l.db"}).ledger == "l.db"
    assert load_settings({"fhir.url": [URL]}, {}).ledger == "fhir-task-exporter.db"


def test_problems_of_the_web_configuration_are_reported_beside_all_others(tmp_path: Path) -> None:
    web = tmp_path / "web.yaml"
    web.write_text("basic_auth_users: {user: canary}\ntls_server_config: {cert_file: nowhere, key_file: nowhere}\n")
    file = tmp_path / "exporter.yaml"
    file.write_text("web: {config: {file: web.yaml}}\npoll: {timeout: soon}\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"config.file": (str(file),)}, {})
    assert sorted(problem.partition(":")[0] for problem in caught.value.problems) == [
        "--config.file line 2, poll.timeout",
        "--fhir.url",
        "--web.config.file line 1, basic_auth_users",
        "--web.config.file line 2, tls_server_config.cert_file",
        "--web.config.file line 2, tls_server_config.key_file",
    ]
    assert "canary" not in str(caught.value)


def test_a_good_web_configuration_is_no_problem(tmp_path: Path) -> None:
    web = tmp_path / "web.yaml"
    web.write_text("rate_limit: {interval: 1s, burst: 5}\n")
    settings = load_settings({"fhir.url": ("http://cdr.example/fhir",), "web.config.file": (str(web),)}, {})
    assert settings.web.config_file == str(web)


def test_a_reload_leaves_the_web_configuration_to_the_web_server(tmp_path: Path) -> None:
    web = tmp_path / "web.yaml"
    web.write_text("unknown: 1\n")
    flags = {"fhir.url": ("http://cdr.example/fhir",), "web.config.file": (str(web),)}
    assert reload_settings(flags, {}).web.config_file == str(web)
    with pytest.raises(ConfigurationError):
        load_settings(flags, {})
