"""The commands. What each does, once its configuration is known to be valid, is in `app`."""

from collections.abc import Mapping

import click

from .. import bundle, config
from ..config.values import positive_duration
from ..reload import ReloadSource, catch_hangups
from .command import Command, Group, version_line, version_option
from .ledger import ledger
from .options import ONCE_OPTIONS, SETTINGS_OPTIONS, Given, click_options, parsed, reload_from, settings_from
from .reasons import reasons
from .watch import watch

SERVER = "--fhir.url https://cdr.example.org/fhir --fhir.username exporter --fhir.password-file password.txt"


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    params=[version_option()],
)
def main() -> None:
    """Prometheus metrics of payer-to-payer exchange Tasks on a FHIR server.

    `demo` shows it without a server. For your own: `check`, then `serve` with the same options.

    Every option that a configuration can hold is also an environment variable: --fhir.url is
    FHIR_TASK_EXPORTER_FHIR_URL. All but those of demo can also be set in the YAML file of --config.file.
    """


@main.command(
    cls=Command,
    params=click_options(SETTINGS_OPTIONS),
    examples=(
        f"serve {SERVER}",
        "serve --config.file exporter.yaml --ledger /var/lib/fhir-task-exporter/ledger.db",
    ),
)
def serve(**given: Given) -> int:
    """Serve the metrics until stopped.

    SIGHUP reads the file of --config.file again, and so does a POST to /-/reload with --web.enable-lifecycle.
    """
    requests = catch_hangups()  # first of all: until then a SIGHUP ends the process
    settings = settings_from(given, config.load_settings)
    from ..app.serve import serve as run

    return run(settings, ReloadSource(requests, reload_from(given)))


@main.command(
    cls=Command,
    params=click_options(SETTINGS_OPTIONS),
    examples=(f"check {SERVER}", "check --config.file exporter.yaml"),
)
def check(**given: Given) -> int:
    """Test configuration and connection, and explain what to fix.

    It takes the options of `serve` and changes nothing.
    """
    settings = settings_from(given, config.load_settings)
    from ..app import commands as app

    return app.check(settings)


@main.command(
    cls=Command, params=click_options(ONCE_OPTIONS), examples=(f"once {SERVER}", "once --config.file exporter.yaml")
)
def once(**given: Given) -> int:
    """Read all Tasks once and write the metrics to stdout.

    For a look at the numbers, or a cron job with the textfile collector of node_exporter. Without --ledger nothing is
    kept: gauges are right, counters are 0. If not every Task could be read, it exits with 1 and writes fhir_task_up 0
    and no Task metric.
    """
    settings = settings_from(given, config.load_once_settings)
    from ..app import commands as app

    return app.once(settings)


@main.command(
    cls=Command, params=click_options(config.DEMO_OPTIONS), examples=("demo", "demo --web.listen-address :9842")
)
def demo(**given: Given) -> int:
    """Run a simulated payer network and an exporter of it."""
    settings = settings_from(given, config.load_demo_settings)
    from ..app import commands as app

    return app.demo(settings)


main.add_command(watch)
main.add_command(ledger)


@main.command(
    cls=Command,
    examples=(
        "dashboard --runbook-url https://wiki.example.org/runbooks --cdr-url https://cdr.example.org > dashboard.json",
    ),
)
@click.option("--runbook-url", default=bundle.RUNBOOKS, help="Base URL of your runbooks. [default: leads nowhere]")
@click.option("--cdr-url", default=bundle.CDR, help="Base URL of your Smile CDR. [default: leads nowhere]")
def dashboard(runbook_url: str, cdr_url: str) -> int:
    """Print the bundled Grafana dashboard."""
    click.echo(bundle.dashboard(runbook_url, cdr_url), nl=False)
    _warn_of_defaults("dashboard", {"--runbook-url": runbook_url, "--cdr-url": cdr_url})
    return 0


def _warn_of_defaults(where: str, urls: Mapping[str, str]) -> None:
    for flag, url in urls.items():
        if url in {bundle.RUNBOOKS, bundle.GRAFANA, bundle.CDR}:
            click.echo(f"{flag} is not set: links in the {where} lead to {url}, which does not exist.", err=True)


@main.command(
    cls=Command,
    examples=(
        "rules --runbook-url https://wiki.example.org/runbooks --grafana-url https://grafana.example.org > rules.yaml",
    ),
)
@click.option("--job", default=bundle.JOB, show_default=True, help="Name of the scrape job in Prometheus.")
@click.option("--runbook-url", default=bundle.RUNBOOKS, help="Base URL of your runbooks. [default: leads nowhere]")
@click.option("--grafana-url", default=bundle.GRAFANA, help="Base URL of your Grafana. [default: leads nowhere]")
@click.option("--refresh-after", default="92d", show_default=True, help="When an exchange with a payer is due again.")
def rules(job: str, runbook_url: str, grafana_url: str, refresh_after: str) -> int:
    """Print the bundled Prometheus rules as one file."""
    seconds = round(parsed("--refresh-after", positive_duration, refresh_after))
    click.echo(bundle.rules(job, runbook_url, grafana_url, seconds), nl=False)
    _warn_of_defaults("alerts", {"--runbook-url": runbook_url, "--grafana-url": grafana_url})
    return 0


main.add_command(reasons)


@main.command(cls=Command)
def version() -> int:
    """Show the version."""
    click.echo(version_line())
    return 0
