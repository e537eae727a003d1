# The search service in a small image, without torch and without root.
#
#   docker build -t askaudio .
#   docker run --rm -v ~/sounds:/sounds:ro -v askaudio:/data askaudio index /sounds --model /data/encoder
#   docker run -p 127.0.0.1:8765:8765 -v ~/sounds:/sounds:ro -v askaudio:/data -e ASKAUDIO_TOKEN askaudio
#
# Mount the sounds at the same place both times: the collection remembers their paths.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/askaudio && /opt/askaudio/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --create-home --home-dir /data askaudio
COPY --from=build /opt/askaudio /opt/askaudio
ENV PATH=/opt/askaudio/bin:$PATH ASKAUDIO_COLLECTION=/data/collection PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER askaudio
VOLUME /data
EXPOSE 8765
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request as r; r.urlopen('http://127.0.0.1:8765/v1/health', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["askaudio"]
CMD ["serve", "--host", "0.0.0.0"]
