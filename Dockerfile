# One image per process, all from this file:  docker build --build-arg PROCESS=orders -t meshwright/orders .
# PROCESS=mesh makes the image of the command line, with all processes in it. EXTRAS adds to what pip installs, by the
# names in pyproject.toml: EXTRAS=postgres for an orchestrator in a cluster, EXTRAS=model for an agent with a model.
FROM python:3.13-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 PATH=/app/bin:$PATH
# The slim images come without the standard library's bytecode, and on a read-only root it would be made anew at every
# start: two thirds of a cold start on a quarter of a cpu.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
      "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

FROM base AS build
ARG PROCESS
ARG EXTRAS=""
WORKDIR /src
RUN python -m venv --without-pip /app
# What others wrote first, so that a change to our own code does not fetch it again: without code the wheel is empty.
COPY pyproject.toml README.md LICENSE constraints.txt ./
# pip only warns of an extra that is not there, and the image would miss what its process imports.
RUN grep -q "^${PROCESS:?name it with --build-arg PROCESS=...} = \[" pyproject.toml \
    || { echo "name in pyproject.toml what it needs, as  $PROCESS = [\"meshwright[agent]\"]" >&2; exit 1; }
RUN pip --python /app/bin/python install --no-cache-dir --constraint constraints.txt ".[$PROCESS${EXTRAS:+,$EXTRAS}]"
COPY . .
# An image holds its own process and no other; the shop's file is opened by the tool servers only.
RUN if [ "$PROCESS" != mesh ]; then \
      [ -d "tools/$PROCESS" ] || rm -rf tools; \
      for room in agents/* tools/* orchestrator aggregator console evals; do \
        case "${room##*/}" in "$PROCESS"|shop) ;; *) rm -rf "$room" ;; esac; \
      done; \
    fi; \
    pip --python /app/bin/python install --no-cache-dir --no-deps --force-reinstall . \
    && /app/bin/python -c "import sys; from importlib.util import find_spec as room; \
         sys.exit('$PROCESS' != 'mesh' and not room('$PROCESS.__main__'))"

FROM base
ARG PROCESS
ENV PROCESS=${PROCESS} MESHWRIGHT_HOME=/var/lib/meshwright
RUN install -d -o 65532 -g 65532 -m 0750 /var/lib/meshwright /var/lib/shop /run/secrets/meshwright
COPY --from=build /app /app
USER 65532:65532
# Not the home: a process looks for policies under its working directory first, and nobody may write here.
WORKDIR /
# exec: the process is number 1 and hears SIGTERM itself; uvicorn drains and exits with 0.
ENTRYPOINT ["sh", "-c", "[ \"$PROCESS\" = mesh ] && exec meshwright \"$@\"; exec python -m \"$PROCESS\"", "meshwright"]
