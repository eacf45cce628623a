FROM python:3.13-slim
RUN useradd --create-home --uid 10001 hilum
WORKDIR /srv/hilum
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
USER hilum
ENV HILUM_HOST=0.0.0.0 HILUM_DATA_DIR=/home/hilum/data PYTHONDONTWRITEBYTECODE=1
EXPOSE 8080
CMD ["python", "-m", "app", "serve"]
