FROM node:24-bookworm-slim AS pages

WORKDIR /src/frontend
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci
COPY client /src/client
COPY frontend /src/frontend
RUN npm run build

FROM python:3.13-slim-bookworm

ENV FLASK_ENV=production \
    YAOSHI_INSTANCE_DIR=/data \
    PYTHONUNBUFFERED=1

COPY backend/requirements.txt /src/requirements.txt
RUN pip install --no-cache-dir --require-hashes -r /src/requirements.txt \
    && useradd --system --uid 10001 --home-dir /data yaoshi \
    && install -d -o 10001 -g 10001 -m 0700 /data \
    && printf '#!/bin/sh\nexec python -m yaoshi.cli.main "$@"\n' > /usr/local/bin/yaoshi \
    && chmod 0755 /usr/local/bin/yaoshi

COPY backend/yaoshi /opt/yaoshi/yaoshi
COPY --from=pages /src/backend/yaoshi/_console /opt/yaoshi/yaoshi/_console
ENV PYTHONPATH=/opt/yaoshi

USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 5000

HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "from urllib import request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:5000/healthz', timeout=2)"]

CMD ["sh", "-c", "yaoshi db upgrade && exec yaoshi serve --host 0.0.0.0 --port 5000"]
