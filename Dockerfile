# The exporter in a container: a virtual environment on a plain Python image, without a compiler, and without its own pip.
#
#   docker build -t fhir-task-exporter .
#   docker run --read-only -p 127.0.0.1:9842:9842 fhir-task-exporter demo
#
# For a package mirror, or a proxy with its own certificate, use build secrets, which leave no trace in the image:
#   docker build --secret id=pip.conf,src=pip.conf --secret id=ca.crt,src=ca.crt -t fhir-task-exporter .
# (set `cert = /run/secrets/ca.crt` in that pip.conf)
# A release passes its own version: --build-arg VERSION=0.1.0
ARG BASE=docker.io/library/python:3.11-slim-bookworm
ARG VERSION=0.1.0.dev0

FROM ${BASE} AS builder
ENV PIP_CONFIG_FILE=/run/secrets/pip.conf \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY pyproject.toml requirements.lock requirements-build.lock README.md LICENSE ./
# Only wheels whose hashes are in the lock files: nothing is compiled, and no build script of a package runs.
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt \
    python3 -m venv /tools \
    && /tools/bin/pip install --quiet --only-binary :all: --require-hashes --requirement requirements-build.lock \
    && python3 -m venv --without-pip /opt/fhir-task-exporter \
    && /tools/bin/pip --python /opt/fhir-task-exporter/bin/python install --quiet --only-binary :all: \
       --require-hashes --requirement requirements.lock
COPY exporter exporter
COPY grafana grafana
ARG VERSION
RUN SETUPTOOLS_SCM_PRETEND_VERSION="${VERSION}" \
    /tools/bin/pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /tools/bin/pip --python /opt/fhir-task-exporter/bin/python install --quiet --only-binary :all: \
       --no-index --no-deps --find-links /wheels fhir-task-exporter \
    && /tools/bin/pip --python /opt/fhir-task-exporter/bin/python check \
    && install -d -m 0700 -o 65532 -g 65532 /ledger

FROM ${BASE}
ARG VERSION
ARG REVISION=unknown
LABEL org.opencontainers.image.title="fhir-task-exporter" \
      org.opencontainers.image.description="Prometheus exporter of payer-to-payer exchange Tasks on FHIR R4 servers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=builder /opt/fhir-task-exporter /opt/fhir-task-exporter
COPY --from=builder --chown=65532:65532 /ledger /var/lib/fhir-task-exporter

# SQLITE_TMPDIR: with a read-only root, SQLite can write its temporary tables only to the volume. They contain Task ids,
# as the ledger does, so they belong there and not in a shared /tmp.
ENV PATH=/opt/fhir-task-exporter/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SQLITE_TMPDIR=/var/lib/fhir-task-exporter \
    FHIR_TASK_EXPORTER_LEDGER=/var/lib/fhir-task-exporter/ledger.db \
    FHIR_TASK_EXPORTER_WEB_LISTEN_ADDRESS=0.0.0.0:9842

# Numeric, so that Kubernetes can verify that it is not root. A volume from the host must be writable by this user.
USER 65532:65532
WORKDIR /var/lib/fhir-task-exporter
VOLUME /var/lib/fhir-task-exporter
EXPOSE 9842
STOPSIGNAL SIGTERM

# http.client rather than urllib, which would use a proxy from the environment.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["python", "-c", "\
import http.client, os, sys; \
port = os.environ['FHIR_TASK_EXPORTER_WEB_LISTEN_ADDRESS'].rpartition(':')[2]; \
asked = http.client.HTTPConnection('127.0.0.1', int(port), timeout=4); \
asked.request('GET', '/-/healthy'); \
sys.exit(asked.getresponse().status != 200)"]

ENTRYPOINT ["fhir-task-exporter"]
CMD ["serve"]
