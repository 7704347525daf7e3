# Two images from one file:
#
#   api      the HTTP process; no torch                           docker build --target api --tag stylize-api .
#   worker   the networks; CUDA comes inside torch's own wheels   docker build --target worker --tag stylize-worker .
#
# Everything is installed into /venv, by stages that know nothing of each other, and the images lay the results over one
# another, the most stable first: a change of the code installs and ships the code only, never torch.

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 stylize \
    && useradd --uid 10001 --gid stylize --no-create-home --home-dir /tmp --shell /usr/sbin/nologin stylize


FROM base AS builder
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /pip \
    && python3 -m venv --without-pip /venv
WORKDIR /build
# PIP_CONSTRAINT instead of --constraint: it also binds what pip fetches to build the package.
ENV PATH=/pip/bin:$PATH \
    PIP_PYTHON=/venv/bin/python \
    PIP_CONSTRAINT=/build/constraints.txt \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints.txt ./


# The two lists alone, so that another change of pyproject.toml leaves the layers that install them as they are.
FROM base AS requirements
COPY pyproject.toml ./
RUN python3 -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
        print(*(name for name in project["dependencies"] if "stylize" not in name), sep="\n", file=open("api.txt", "w")); \
        print(*project["optional-dependencies"]["worker"], sep="\n", file=open("worker.txt", "w"))'


FROM builder AS api-dependencies
COPY --from=requirements /api.txt ./
RUN pip install --requirement api.txt


FROM builder AS package
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY model_store model_store
COPY service service
COPY stylize_client stylize_client
RUN pip install --no-deps ./stylize_client .


FROM base AS runtime
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STYLIZE_HOST=0.0.0.0 \
    STYLIZE_PORT=8000
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
ENTRYPOINT ["stylize"]


FROM runtime AS api
LABEL org.opencontainers.image.title="Stylize API" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=api-dependencies /venv /venv
COPY --from=package /venv /venv
EXPOSE 8000
# http.client, because urllib would ask the proxy that an environment may name.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; \
port = os.environ['STYLIZE_PORT']; \
api = http.client.HTTPConnection('127.0.0.1', int(port) if port.isdecimal() else 8000, timeout=4); \
api.request('GET', '/healthz'); \
sys.exit(api.getresponse().status != 200)"]
CMD ["api"]


FROM builder AS torch
# Another index for torch alone, for instance PyTorch's own, whose CPU build is some gigabytes smaller. What torch needs still
# comes from the usual one.
ARG TORCH_INDEX=""
COPY --from=requirements /worker.txt ./
RUN if [ -n "$TORCH_INDEX" ]; then pip install --no-deps --index-url "$TORCH_INDEX" torch; fi \
    && pip install --requirement worker.txt


FROM runtime AS worker
LABEL org.opencontainers.image.title="Stylize worker" \
      org.opencontainers.image.licenses="Apache-2.0"
# What the NVIDIA container runtime lends: CUDA and nvidia-smi.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=torch /venv /venv
COPY --from=api-dependencies /venv /venv
COPY --from=package /venv /venv
HEALTHCHECK --interval=15s --timeout=10s --start-period=120s --retries=3 \
    CMD ["stylize", "worker-health"]
CMD ["worker"]
