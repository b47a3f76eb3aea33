FROM python:3.11-slim AS build
WORKDIR /paperboy
COPY requirements.lock ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --create-home --uid 1000 paperboy && install -d -o paperboy /data
WORKDIR /paperboy
COPY --from=build /venv /venv
COPY . .
# A key for this one command: static files hold no secret, and the image must hold none.
RUN SECRET_KEY=only-to-collect-static-files DEBUG=0 DIGEST_DATA_DIR=/tmp/build python manage.py collectstatic --noinput
USER paperboy
ENV DIGEST_DATA_DIR=/data
VOLUME /data
EXPOSE 8000
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0"]
