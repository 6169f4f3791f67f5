# Two images, from the same files: the dashboard (the last stage) and the agents' worker, which also
# has LiveKit Agents and offline speech.
#
#   docker build -t switchboard .
#   docker build -t switchboard-worker --target worker .
#
# The front end's bundles are in the repository, and livekit-server runs in a container of its own:
# neither Node nor Go is needed here.
FROM python:3.12-slim-bookworm AS core
WORKDIR /app
COPY requirements-core.txt .
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements-core.txt \
    && find /opt/venv -name __pycache__ -type d -prune -exec rm -rf {} +

FROM core AS full
COPY requirements.txt .
RUN /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt \
    && find /opt/venv -name __pycache__ -type d -prune -exec rm -rf {} +

FROM python:3.12-slim-bookworm AS switchboard
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin switchboard \
    && install -d -o switchboard -g switchboard -m 0700 /data
WORKDIR /app
COPY . .
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SWITCHBOARD_DATA_DIR=/data \
    SWITCHBOARD_CACHE_DIR=/data/cache \
    SWITCHBOARD_EMBEDDED_LIVEKIT=off
VOLUME /data

FROM switchboard AS worker
COPY --from=full /opt/venv /opt/venv
RUN python -m scripts.environment launcher /opt/venv
USER 10001
CMD ["switchboard", "worker", "--port", "8081"]

FROM switchboard AS dashboard
COPY --from=core /opt/venv /opt/venv
RUN python -m scripts.environment launcher /opt/venv
ENV STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_HEADLESS=true
USER 10001
EXPOSE 8501
CMD ["switchboard", "run"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/api/health', timeout=4)"]
