# A worker of either role (TROUPE_ROLE). torch's wheels carry CUDA; the host brings the driver.
FROM python:3.11-slim-bookworm
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /usr/local/bin/uv
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never \
    PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --create-home troupe
WORKDIR /app
# The lock before the code: a change of code installs nothing again.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-cache --no-install-project --extra worker
COPY shared shared
COPY worker worker
USER troupe
# By -m: the celery command keeps /app on its path only while it looks for the app, and a spawned child needs it, too.
CMD ["python", "-m", "celery", "-A", "worker.app", "worker", "--without-gossip", "--without-mingle"]
