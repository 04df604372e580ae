# The gateway and the venue in one image: no root, no shell needed, nothing written outside /var/lib/ordergate and /tmp,
# so it runs with a read-only root file system and no capabilities. compose.yaml shows how.

FROM python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1

RUN python -m venv /opt/ordergate

# The locked requirements change seldom and have a layer of their own.
WORKDIR /build
COPY requirements.txt ./
RUN /opt/ordergate/bin/pip install --only-binary :all: --require-hashes -r requirements.txt

COPY pyproject.toml README.md ./
COPY src ./src

# Which environment the image is for. An image for paper is without the one module that knows the live host.
ARG ENVIRONMENT
RUN /opt/ordergate/bin/pip install --no-deps --no-build-isolation .
RUN case "$ENVIRONMENT" in \
        paper) rm /opt/ordergate/lib/python3.11/site-packages/ordergate/brokers/alpaca/live.py ;; \
        live) ;; \
        *) echo "say which environment the image is for: --build-arg ENVIRONMENT=paper" >&2; exit 1 ;; \
    esac
RUN /opt/ordergate/bin/python -m compileall -q /opt/ordergate/lib \
    && /opt/ordergate/bin/pip uninstall --yes pip


FROM python:3.11-slim-bookworm AS run

RUN groupadd --gid 10001 ordergate \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/ordergate --shell /usr/sbin/nologin ordergate \
    && install -d -m 0700 -o 10001 -g 10001 /var/lib/ordergate

COPY --from=build /opt/ordergate /opt/ordergate

ENV PATH=/opt/ordergate/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

USER 10001:10001
WORKDIR /var/lib/ordergate
VOLUME ["/var/lib/ordergate"]
# The administration (8702 in deploy/gateway.yaml) is on loopback and is not exposed.
EXPOSE 8700
STOPSIGNAL SIGTERM

# Alive is asked here; ready is asked by whoever sends traffic (/readyz).
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8700/livez', timeout=2)"]

# The environment (paper or live) has no default: the settings file says which it is, or nothing starts.
ENTRYPOINT ["ordergate"]
CMD ["serve", "--config", "/etc/ordergate/gateway.yaml"]
