# One image for flows, batch predictions and the API; docs/containers.md says how to use it and what it consists of.
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS packages
ENV UV_LINK_MODE=copy UV_NO_CACHE=true UV_NO_PROGRESS=true UV_SYSTEM_CERTS=true
WORKDIR /build
COPY requirements-build.txt ./
# uv itself comes from the lock too, by hash, through the pip that the image of Python brings.
RUN python3 -m venv tools \
    && awk '/^uv==/ {on=1} on {print} on && !/\\$/ {exit}' requirements-build.txt > uv.txt \
    && tools/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r uv.txt
COPY requirements.txt ./
# The packages' own tests and C sources go: nothing reads them. Bytecode is made now: nobody may write any later.
RUN python3 -m venv --without-pip /opt/evergreen \
    && tools/bin/uv pip install --quiet --python /opt/evergreen/bin/python --require-hashes --build-constraints requirements-build.txt \
        -r requirements.txt \
    && find /opt/evergreen/lib -type d -name tests -prune -exec rm -r {} + \
    && find /opt/evergreen/lib -type f -regextype posix-extended -regex '.*\.(c|cpp|h|hpp|pyx|pxd|pxi|a)' -delete \
    && /opt/evergreen/bin/python -m compileall -q -j 0 /opt/evergreen/lib
# Prefect's empty database, which takes ten seconds to make: every private server starts from a copy.
RUN PREFECT_HOME=/opt/evergreen/prefect DO_NOT_TRACK=true /opt/evergreen/bin/prefect server database upgrade -y > /dev/null \
    && chmod -R a+rX /opt/evergreen/prefect

FROM packages AS project
WORKDIR /app
# Stars: a fork may have another licence, and no pointer where nothing is fetched.
# compose.yaml: whoever puts this image back brings up what belongs to it (deploy/roll-out).
COPY pyproject.toml README.md requirements.txt compose.yaml LICENSE* data/pointer* ./
COPY expectations ./expectations
COPY deploy/entrypoint deploy/evergreen deploy/answers deploy/with-state deploy/turn deploy/decide ./deploy/
COPY src ./src
COPY flows ./flows
# In a folder of its own, so that a change of the project leaves the packages' layer as it is.
RUN /build/tools/bin/uv pip install --quiet --python /opt/evergreen/bin/python --prefix /opt/project --no-deps --editable . \
        --build-constraints /build/requirements-build.txt \
    && python3 -m compileall -q --invalidation-mode unchecked-hash src flows

FROM ${PYTHON_IMAGE}
# What installs has no use here but to others; a base image may bring it.
RUN find / -xdev -path '*/python3*' \( -name pip -o -name 'pip-*' -o -name ensurepip -o -name setuptools -o -name 'setuptools-*' \
        -o -name pkg_resources -o -name _distutils_hack -o -name distutils-precedence.pth -o -name wheel -o -name 'wheel-*' \) -prune -exec rm -r {} + \
    && find /usr/bin /usr/local/bin -name 'pip*' -delete \
    && groupadd --gid 10001 evergreen \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/evergreen --no-create-home --shell /usr/sbin/nologin evergreen \
    && install -d -o 10001 -g 10001 -m 1777 /var/lib/evergreen
COPY --from=packages /opt/evergreen /opt/evergreen
COPY --from=project /opt/project /opt/evergreen
COPY --from=project /app /app
# Whoever runs it may write to the home and to /tmp, whatever the uid is; an account without a name has this one.
ENV PATH=/app/deploy:/opt/evergreen/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    EVERGREEN_HOME=/var/lib/evergreen EVERGREEN_EXPECTATIONS=/app/expectations EVERGREEN_LOCK=/app/requirements.txt \
    EVERGREEN_POINTER=/app/pointer EVERGREEN_API_HOST=0.0.0.0 \
    HOME=/tmp USER=evergreen LOGNAME=evergreen \
    MPLCONFIGDIR=/tmp/matplotlib XDG_CACHE_HOME=/tmp/cache XDG_CONFIG_HOME=/tmp/config XDG_DATA_HOME=/tmp/data \
    DO_NOT_TRACK=true MLFLOW_DISABLE_TELEMETRY=true PREFECT_SERVER_ANALYTICS_ENABLED=false GX_ANALYTICS_ENABLED=false
WORKDIR /app
USER 10001:10001
VOLUME /var/lib/evergreen
EXPOSE 8000
STOPSIGNAL SIGTERM
# The API's; another service has its own (compose.yaml), a batch job needs none.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["deploy/answers", "/health/live"]
ENTRYPOINT ["/app/deploy/entrypoint"]
CMD ["evergreen", "serve"]
# Last, for they change with every build.
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
ENV EVERGREEN_REVISION=${REVISION}
LABEL org.opencontainers.image.title="Evergreen" \
    org.opencontainers.image.description="Continuous training, batch predictions and an API, in one image" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="${SOURCE}"
