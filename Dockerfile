# Quietpager: `docker build -t quietpager .`, or see docker-compose.yml.
FROM python:3.11.15-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/quietpager
ENV PATH=/opt/quietpager/bin:$PATH

WORKDIR /src
# The dependencies first: a change of the code keeps their layer.
COPY requirements.txt ./
RUN pip install --require-hashes -r requirements.txt
COPY LICENSE README.md pyproject.toml ./
COPY agent_runtime agent_runtime
COPY analytics analytics
COPY cli cli
COPY dashboards dashboards
COPY demo demo
COPY ingest ingest
COPY lake lake
RUN pip install --no-index --no-deps --no-build-isolation .

FROM python:3.11.15-slim-trixie

LABEL org.opencontainers.image.title="quietpager" \
      org.opencontainers.image.description="SLOs, cost and alerts for AI agents from OpenTelemetry, on your own disk" \
      org.opencontainers.image.licenses="Apache-2.0"

# The user id is the one the collector's image has, so that both may write into volumes whose
# ownership comes from the directories made here.
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin quietpager \
    && install -d -o quietpager -g quietpager /data /var/lib/otelcol /var/log/agent
COPY --from=build /opt/quietpager /opt/quietpager
ENV PATH=/opt/quietpager/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    QUIETPAGER_DATA=/data

USER 10001:10001
WORKDIR /data
VOLUME /data
# OTLP/gRPC, OTLP/HTTP, dashboard
EXPOSE 4317 4318 8321
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/readyz', timeout=4)"]

ENTRYPOINT ["quietpager"]
CMD ["up", "--otlp-http", "0.0.0.0:4318", "--otlp-grpc", "0.0.0.0:4317", "--dashboard", "0.0.0.0:8321"]
