# Images of the API, the webhooks process and Flower: no torch, no checkpoints, about 300 MB.
FROM python:3.11.14-slim-bookworm AS base
LABEL org.opencontainers.image.title="Troupe" \
      org.opencontainers.image.description="Several people in one generated picture: the API" \
      org.opencontainers.image.licenses="Apache-2.0"
# The file system is read-only where it runs: what Python compiles is compiled here.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN groupadd --gid 10001 troupe && useradd --uid 10001 --gid 10001 --no-create-home troupe
WORKDIR /app

FROM base AS packages
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /usr/local/bin/uv
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_CACHE_DIR=/root/.cache/uv UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1
# The lock file before the code: a change of the code does not reinstall the packages.
COPY pyproject.toml uv.lock ./

FROM packages AS api-packages
RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --only-group api

FROM packages AS flower-packages
RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --only-group flower

# The code as every target copies it: readable by the user that runs it, whatever the umask of the clone was, compiled, and
# without the checkpoints of the small bundle, which only workers load.
FROM base AS code
COPY shared shared
COPY api api
COPY worker worker
COPY compose/flower.py compose/flower.py
RUN rm -rf worker/mini/checkpoints && chmod -R a+rX . && python -m compileall -q shared api worker

FROM base AS flower
COPY --from=flower-packages /opt/venv /opt/venv
COPY --from=code /app/compose compose
COPY --from=code /app/shared shared
COPY --from=code /app/worker worker
USER 10001:10001
EXPOSE 5555
CMD ["python", "-m", "celery", "-A", "worker.app", "flower", "--conf=/app/compose/flower.py"]

FROM base AS webhooks
COPY --from=api-packages /opt/venv /opt/venv
COPY --from=code /app/shared shared
COPY --from=code /app/worker worker
USER 10001:10001
CMD ["python", "-m", "celery", "-A", "worker.webhooks.app", "worker", "--without-gossip", "--without-mingle"]

FROM base AS api
COPY --from=api-packages /opt/venv /opt/venv
COPY --from=code /app/shared shared
COPY --from=code /app/api api
USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "api"]
