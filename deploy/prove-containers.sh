#!/usr/bin/env bash
# Proves the Dockerfile on a machine without a container engine: builds both images over a base made by debootstrap, then runs
# Redis, the API and the worker from the built trees, as docker-compose.yml would (own user, no capabilities, read-only root),
# and posts a picture.
#
#   deploy/prove-containers.sh          build and run
#   deploy/prove-containers.sh build    build only
#
# Needs root, buildah, debootstrap, curl and, to run, a Redis or Valkey server. Everything lies in a store of its own, of which
# only the base image stays behind. Expect about 20 GB while it runs: the worker holds CUDA.
#
#   DEBIAN_MIRROR   where debootstrap fetches from     (its own default)
#   BUILD_FLAGS     more flags for `buildah bud`, for instance --volume /etc/pip.conf:/etc/pip.conf:ro behind a mirror
#   REDIS_SERVER    the server to run                  (redis-server, else valkey-server)
#   CONTENT, STYLE  pictures to post                   (drawn)
#   KEEP=1          keep the images and layers, so that the next run builds from them
set -euo pipefail

cd "$(dirname "$0")/.."
readonly DEBIAN_MIRROR=${DEBIAN_MIRROR:-}
readonly BASE=docker.io/library/debian:bookworm-slim
readonly STORE=/var/lib/containers/stylize-proof
readonly READY_S=180 DRAIN_S=60 SIZE_PX=256
SCRATCH=$(mktemp -d /var/tmp/stylize-proof.XXXXXX)
readonly SCRATCH

read -ra build_flags <<<"${BUILD_FLAGS:-}"
declare -A tree=() pid=()

say() { printf '\n== %s\n' "$*"; }
die() { printf 'prove-containers: %s\n' "$*" >&2; exit 1; }
store() { buildah --root "$STORE" --runroot "$SCRATCH/run" "$@"; }
has_image() { store images --quiet "$1" >/dev/null 2>&1; }

clean_up() {
    local status=$?
    trap - EXIT
    if ((status)); then tail --quiet --lines 20 "$SCRATCH"/*.log >&2 2>/dev/null || true; fi
    if ((${#pid[@]})); then kill -KILL "${pid[@]}" 2>/dev/null || true; fi
    wait
    store umount --all >/dev/null 2>&1 || true
    store rm --all >/dev/null 2>&1 || true
    if [[ -z ${KEEP:-} ]]; then
        store rmi --force localhost/stylize-api localhost/stylize-worker >/dev/null 2>&1 || true
        store rmi --prune --force >/dev/null 2>&1 || true
    fi
    umount --recursive --lazy "$STORE/overlay" 2>/dev/null || true
    rm -rf "$SCRATCH"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# --- build -----------------------------------------------------------------------------------------------------------------

# The official bookworm-slim is such a tree, too: minbase with updates, less what nobody reads in a container.
make_base() {
    local root=$SCRATCH/base container
    debootstrap --variant=minbase bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$SCRATCH/debootstrap.log"
    sed -i 's/^\(deb .*\) bookworm main.*/&\n\1 bookworm-updates main/' "$root/etc/apt/sources.list"
    printf 'path-exclude /usr/share/%s/*\n' doc man info locale >"$root/etc/dpkg/dpkg.cfg.d/slim"
    printf 'Dir::Cache::%s "";\n' pkgcache srcpkgcache archives >"$root/etc/apt/apt.conf.d/no-cache"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,info,locale}/*
    container=$(store from scratch)
    store add --quiet "$container" "$root" / >/dev/null
    store config --cmd bash "$container"
    store commit --quiet --rm "$container" "$BASE" >/dev/null
    rm -rf "$root"
}

build() {
    say "building $1"
    store bud --isolation chroot --format docker --layers --pull-never --target "$1" --tag "localhost/stylize-$1" \
        ${build_flags[@]+"${build_flags[@]}"} .
    tree[$1]=$(store mount "$(store from --pull-never "localhost/stylize-$1")")
}

# --- run -------------------------------------------------------------------------------------------------------------------

# config TARGET FIELD: one field of the image's configuration, a line per element.
config() { store inspect --type image --format "{{range .Docker.Config.$2}}{{println .}}{{end}}" "localhost/stylize-$1"; }

# inside TARGET COMMAND...: replaces this process by one that sees what a container of the image would see. The mounts are in a
# namespace of their own and go with the process.
inside() {
    local target=$1 user environment
    shift
    user=$(store inspect --type image --format '{{.Docker.Config.User}}' "localhost/stylize-$target")
    mapfile -t environment < <(config "$target" Env | sed '/^$/d')
    environment+=(HOME=/tmp "STYLIZE_REDIS_URL=redis://127.0.0.1:${redis_port:-0}/0" STYLIZE_HOST=127.0.0.1
        "STYLIZE_PORT=${api_port:-0}" STYLIZE_DEVICE=cpu)
    # shellcheck disable=SC2016  # the inner shell expands these
    exec unshare --mount --propagation private bash -euc '
        root=$1 user=$2 group=$3
        shift 3
        mount --bind "$root" "$root"
        mount -o remount,bind,ro "$root"
        mount --rbind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        mount -t tmpfs -o mode=1777 tmp "$root/tmp"
        exec chroot "$root" setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs --bounding-set=-all \
            --inh-caps=-all env --ignore-environment "$@"
    ' inside "${tree[$target]}" "${user%:*}" "${user#*:}" "${environment[@]}" "$@"
}

free_port() {
    local port
    while port=$((20000 + RANDOM % 20000)); (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}

# start TARGET: the image's own entrypoint and command.
start() {
    local command
    mapfile -t command < <(config "$1" Entrypoint | sed '/^$/d'; config "$1" Cmd | sed '/^$/d')
    (inside "$1" "${command[@]}") >"$SCRATCH/$1.log" 2>&1 &
    pid[$1]=$!
}

# healthy TARGET: the image's own health check, without its leading CMD.
healthy() {
    local command
    mapfile -t command < <(config "$1" Healthcheck.Test | sed '/^$/d')
    (inside "$1" "${command[@]:1}") >>"$SCRATCH/health.log" 2>&1
}

unhealthy() { ! healthy "$1"; }

# eventually SECONDS WHAT COMMAND...
eventually() {
    local end=$((SECONDS + $1)) what=$2 name
    shift 2
    until "$@"; do
        for name in "${!pid[@]}"; do kill -0 "${pid[$name]}" 2>/dev/null || die "$name ended"; done
        ((SECONDS < end)) || die "waited too long: $what"
        sleep 0.5
    done
    echo "$what"
}

get() { curl --noproxy '*' --silent --show-error --fail --max-time 120 "$@"; }
ready() { get --output /dev/null "http://127.0.0.1:$api_port/readyz?worker=1" 2>/dev/null; }

# draw DARK LIGHT: a picture, drawn by the API image's Pillow.
draw() {
    (inside api python -c '
import sys
from PIL import Image, ImageOps
picture = Image.effect_mandelbrot((640, 480), (-2.2, -1.4, 1.0, 1.4), 60)
ImageOps.colorize(picture, sys.argv[1], sys.argv[2]).save(sys.stdout.buffer, "PNG")' "$1" "$2")
}

check_picture() {
    (inside api python -c '
import io, sys
from PIL import Image
picture = Image.open(io.BytesIO(sys.stdin.buffer.read())).convert("RGB")
assert max(picture.size) == int(sys.argv[1]), f"{picture.size}: longer side is not {sys.argv[1]}"
assert any(high - low > 16 for low, high in picture.getextrema()), "the picture is blank"
print(f"a picture of {picture.width} x {picture.height} px came back")' "$SIZE_PX") <"$1"
}

check_trees() {
    local target megabytes
    say "what the trees hold"
    (inside api python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is not None)') \
        || die "the API image has torch"
    echo "api: no torch"
    (inside worker python -c 'import torch; print("worker: torch", torch.__version__, "CUDA", torch.version.cuda)')
    for target in api worker; do
        (inside "$target" python -c '
import re, sys
from importlib.metadata import distributions
def plain(name): return re.sub("[-_.]+", "-", name).lower()
pinned = {plain(line.split("==")[0]) for line in sys.stdin if "==" in line}
loose = {plain(package.name) for package in distributions()} - pinned - {"stylize"}
sys.exit(f"constraints.txt does not pin {sorted(loose)}" if loose else 0)') <constraints.txt || die "$target: see above"
        # shellcheck disable=SC2016
        (inside "$target" sh -c 'test "$(id -u)" != 0 && ! touch /venv/probe /probe 2>/dev/null') \
            || die "$target can write its root"
        [[ -n $(config "$target" Healthcheck.Test) ]] || die "$target has no health check"
        megabytes=$(du --summarize --block-size=1M "${tree[$target]}" | cut --fields 1)
        echo "$target: $megabytes MB, every package pinned, not root, cannot write its root"
    done
}

run() {
    local server=${REDIS_SERVER:-$(command -v redis-server || command -v valkey-server)} name
    [[ -n $server ]] || die "no redis-server or valkey-server: install one or set REDIS_SERVER"
    redis_port=$(free_port) api_port=$(free_port)

    say "running"
    mkdir "$SCRATCH/redis"
    "$server" --bind 127.0.0.1 --port "$redis_port" --dir "$SCRATCH/redis" --maxmemory 1gb --maxmemory-policy noeviction \
        --appendonly yes --appendfsync everysec >"$SCRATCH/redis.log" 2>&1 &
    pid[redis]=$!
    start api
    start worker
    eventually "$READY_S" "api: its health check passes" healthy api
    eventually "$READY_S" "ready" ready
    eventually 30 "worker: its health check passes" healthy worker

    if [[ -n ${CONTENT:-} ]]; then cp "$CONTENT" "$SCRATCH/content"; else draw navy gold >"$SCRATCH/content"; fi
    if [[ -n ${STYLE:-} ]]; then cp "$STYLE" "$SCRATCH/style"; else draw darkgreen crimson >"$SCRATCH/style"; fi
    get --form "content=@$SCRATCH/content" --form "style=@$SCRATCH/style" --form "size=$SIZE_PX" --output "$SCRATCH/result" \
        "http://127.0.0.1:$api_port/stylize"
    check_picture "$SCRATCH/result"

    for name in worker api redis; do
        if [[ $name == api ]]; then eventually 30 "worker: its health check fails now" unhealthy worker; fi
        kill -TERM "${pid[$name]}"
        timeout "$DRAIN_S" tail --pid="${pid[$name]}" --follow /dev/null || die "$name did not end in $DRAIN_S s of SIGTERM"
        wait "${pid[$name]}" || (($? == 143)) || die "$name did not end well"
        unset "pid[$name]"
        echo "$name: ended on SIGTERM"
    done
}

((EUID == 0)) || die "needs root"
for tool in buildah debootstrap curl; do command -v "$tool" >/dev/null || die "needs $tool"; done
if ! has_image "$BASE"; then
    say "making $BASE"
    make_base
fi
build api
build worker
check_trees
[[ ${1:-} == build ]] || run
say "done"
