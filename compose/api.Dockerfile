# The API, the webhooks' deliverer, and Flower beside them: no torch, no checkpoint, about 300 MB.
FROM python:3.11-slim-bookworm AS base
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /usr/local/bin/uv
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never \
    PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 troupe
WORKDIR /app
# The lock before the code: a change of code installs nothing again.
COPY pyproject.toml uv.lock ./

FROM base AS flower
RUN uv sync --frozen --no-cache --no-install-project --extra flower
COPY shared shared
COPY worker worker
USER troupe
EXPOSE 5555
CMD ["celery", "-A", "worker.app", "flower", "--read_only=True"]

FROM base AS webhooks
RUN uv sync --frozen --no-cache --no-install-project --extra api
COPY shared shared
COPY worker worker
USER troupe
CMD ["python", "-m", "celery", "-A", "worker.webhooks.app", "worker", "--without-gossip", "--without-mingle"]

FROM base AS api
RUN uv sync --frozen --no-cache --no-install-project --extra api
COPY shared shared
COPY api api
USER troupe
EXPOSE 8000
CMD ["python", "-m", "api"]
