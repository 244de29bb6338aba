# syntax=docker/dockerfile:1
# One image for the gateway, the bridge and the worker: the command says which. It runs as nobody in particular, on a
# root filesystem that may be read-only, with a /tmp in memory.

FROM node:24-slim AS ui
WORKDIR /build/ui
COPY ui/package.json ui/package-lock.json ui/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY ui/ ./
RUN npm run build

FROM python:3.13-slim AS wheel
WORKDIR /build
# What is installed is pinned by its hash, the build's own tool included.
COPY requirements/runtime.txt requirements/build.txt ./requirements/
RUN python -m venv /opt/headway \
    && /opt/headway/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        --requirement requirements/runtime.txt \
    && pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements/build.txt
COPY pyproject.toml setup.py README.md ./
COPY cli/ cli/
COPY core/ core/
COPY gateway/ gateway/
COPY jobs/ jobs/
COPY stack/ stack/
RUN pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/headway/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index /dist/*.whl

FROM python:3.13-slim AS runtime
RUN groupadd --system --gid 10001 headway \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin headway
COPY --from=wheel /opt/headway /opt/headway
COPY --from=ui /build/ui/dist /app/ui/dist
ENV PATH=/opt/headway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HEADWAY_HOST=0.0.0.0 \
    HEADWAY_PORT=8000 \
    HEADWAY_UI_DIST=/app/ui/dist \
    HEADWAY_ALIVE_FILE=/tmp/headway-alive
WORKDIR /app
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# The default command is the gateway's; a bridge or a worker has no port and is asked for its sign of life instead.
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 \
    CMD ["python", "-m", "core.alive", "http://127.0.0.1:8000/readyz"]
CMD ["python", "-m", "gateway"]
