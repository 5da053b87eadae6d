FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /app
COPY requirements.txt ./
RUN pip install -r requirements.txt

COPY . .
# 1000 is the user that Hugging Face runs every Space as.
RUN useradd --uid 1000 --home-dir /app --no-create-home gemproxy \
    && mkdir -p var \
    && chown gemproxy:gemproxy var \
    && python -m compileall -q accounts gemproxy imaging proxy

# In a container every network is the right one, and nobody is there to say --migrate.
ENV HOST=0.0.0.0 \
    PORT=8100 \
    MIGRATE=true

USER gemproxy
VOLUME /app/var
EXPOSE 8100

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from os import environ as e; from urllib.request import urlopen; urlopen('http://127.0.0.1:' + (e.get('GEMPROXY_PORT') or e['PORT']) + '/health', timeout=4)"]

CMD ["python", "manage.py", "serve"]
