FROM python:3.13-slim
WORKDIR /srv/hilum

COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock

COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && useradd --create-home --uid 10001 hilum \
    && install -d -o hilum -m 700 /data

USER hilum
ENV HILUM_HOST=0.0.0.0 HILUM_DATA_DIR=/data HILUM_LOG_FORMAT=json
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.getenv('HILUM_PORT', 8080)}/health/ready\")"]
CMD ["hilum", "serve"]
