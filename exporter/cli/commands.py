"""The commands. What each does, once its configuration is known to be valid, is in `app`."""

import click

from .. import bundle, config
from .command import Command
from .options import SETTINGS_OPTIONS, Given, click_options, settings_from


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="fhir-task-exporter", message="%(package)s %(version)s")
def main() -> None:
    """Prometheus metrics of payer-to-payer exchange Tasks on a FHIR server.

    Every option of serve, check, once and demo is also an environment variable: --fhir.url is
    FHIR_TASK_EXPORTER_FHIR_URL. Options of serve, check and once can also be set in the YAML file of --config.file.
    """


@main.command(cls=Command, params=click_options(SETTINGS_OPTIONS))
def serve(**given: Given) -> int:
    """Serve the metrics until stopped."""
    settings = settings_from(given, config.load_settings)
    from .. import app

    return app.serve(settings)


@main.command(cls=Command, params=click_options(SETTINGS_OPTIONS))
def check(**given: Given) -> int:
    """Test the configuration and the connection, and explain what to fix."""
    settings = settings_from(given, config.load_settings)
    from .. import app

    return app.check(settings)


@main.command(cls=Command, params=click_options(SETTINGS_OPTIONS))
def once(**given: Given) -> int:
    """Read all Tasks once and write the metrics to standard output."""
    settings = settings_from(given, config.load_settings)
    from .. import app

    return app.once(settings)


@main.command(cls=Command, params=click_options(config.DEMO_OPTIONS))
def demo(**given: Given) -> int:
    """Run a simulated payer network and an exporter of it."""
    settings = settings_from(given, config.load_demo_settings)
    from .. import app

    return app.demo(settings)


@main.command(cls=Command)
def dashboard() -> int:
    """Print the bundled Grafana dashboard."""
    click.echo(bundle.dashboard(), nl=False)
    return 0


@main.command(cls=Command)
@click.option("--job", default=bundle.JOB, show_default=True, help="Name of the scrape job in Prometheus.")
@click.option("--runbook-url", default=bundle.RUNBOOKS, show_default=True, help="Base URL of your runbooks.")
@click.option("--grafana-url", default=bundle.GRAFANA, show_default=True, help="Base URL of your Grafana.")
def rules(job: str, runbook_url: str, grafana_url: str) -> int:
    """Print the bundled Prometheus recording and alerting rules as one file."""
    click.echo(bundle.rules(job, runbook_url, grafana_url), nl=False)
    return 0
