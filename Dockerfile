# Two stages: what builds the bridge stays out of what runs it.
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv /opt/bridge
COPY requirements.txt ./
RUN /opt/bridge/bin/pip install --require-hashes -r requirements.txt
COPY pyproject.toml README.md ./
COPY bridge ./bridge
# bridge/defaults points at it: the built-in configuration.
COPY config ./config
RUN /opt/bridge/bin/pip install --no-deps --no-build-isolation . \
 && /opt/bridge/bin/pip uninstall --yes setuptools pip

FROM python:3.13-slim
LABEL org.opencontainers.image.title="burgernet-bridge"
# A number, so that an orchestrator can see that this is not root.
RUN groupadd --system --gid 10001 bridge \
 && useradd --system --uid 10001 --gid bridge --home-dir /app --no-create-home --shell /usr/sbin/nologin bridge \
 && install -d -o bridge -g bridge -m 0750 /app/var
COPY --from=build /opt/bridge /opt/bridge
COPY config /app/config
WORKDIR /app
ENV PATH=/opt/bridge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 BRIDGE_WEB__HOST=0.0.0.0
USER 10001:10001
# SQLite's database, unless BRIDGE_STORE__URL names a PostgreSQL.
VOLUME /app/var
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('BRIDGE_WEB__PORT', '8080')), timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["burgernet-bridge"]
CMD ["run"]
