# The image of a worker (both roles) and of the checkpoint download. CUDA is part of torch's wheels; the host provides the
# driver.
FROM python:3.11.14-slim-bookworm AS base
LABEL org.opencontainers.image.title="Troupe worker" \
      org.opencontainers.image.description="Several people in one generated picture: detection and generation" \
      org.opencontainers.image.licenses="Apache-2.0"
# The file system is read-only where it runs: what Python compiles is compiled here, what libraries keep goes to /tmp.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp HF_HOME=/tmp/hf XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/matplotlib
# No library reports to its maker: shared/no_telemetry.py has the list.
ENV ORT_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_TELEMETRY=1 DO_NOT_TRACK=1
# Volumes that are empty take the owner of these folders.
RUN groupadd --gid 10001 troupe && useradd --uid 10001 --gid 10001 --no-create-home troupe \
    && install -d -o troupe -g troupe /bundle /gpus
WORKDIR /app

FROM base AS packages
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /usr/local/bin/uv
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_CACHE_DIR=/root/.cache/uv UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1
# The lock file before the code: a change of the code does not reinstall the packages.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --only-group worker

# Readable by the user that runs it, whatever the umask of the clone was.
FROM base AS code
COPY shared shared
COPY worker worker
RUN chmod -R a+rX . && python -m compileall -q shared worker

FROM base AS worker
COPY --from=packages /opt/venv /opt/venv
COPY --from=code /app .
USER 10001:10001
# With -m, because the celery command has /app on its path only while it loads the app, and spawned children need it, too.
CMD ["python", "-m", "celery", "-A", "worker.app", "worker", "--without-gossip", "--without-mingle"]
