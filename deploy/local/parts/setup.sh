#!/usr/bin/env bash
# Installs what Tidemark needs: system programs, Python packages in .venv, and in var/parts the jars of Kafka and of
# Flink's connector, and influxd. Does nothing where nothing has changed. What is fetched or built is also kept in the
# user's cache folder, so the next clone on this machine takes seconds.
set -euo pipefail
cd "$(dirname "$0")/../../.."

UV_VERSION=0.13.9
INFLUXD=github.com/influxdata/influxdb/cmd/influxd@v1.8.10
HERE=deploy/local/parts
PARTS=var/parts
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/tidemark/parts"
STAMPS=$PARTS/stamps
LOGS=$PARTS/log

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
key() { cat -- "$@" | sha256sum | cut -c1-16; }
have() { command -v "$1" >/dev/null 2>&1; }

# A stamp holds the hash of what a step was made from; the step is done when it matches and its result is there.
is_done() { [ -e "$3" ] && [ "$(cat "$STAMPS/$1" 2>/dev/null)" = "$2" ]; }
stamp() { printf '%s\n' "$2" >"$STAMPS/$1"; }

# System programs ------------------------------------------------------------------------------------------------------

find_python() {
    local name
    for name in ${PYTHON:-} python3.11 python3.12 python3; do
        if have "$name" && "$name" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
}

has_java() {
    local java=java
    [ -z "${JAVA_HOME:-}" ] || java=$JAVA_HOME/bin/java
    have "$java" && "$java" -version 2>&1 | grep -qE 'version "(1[7-9]|[2-9][0-9])'
}

has_venv() { local python; python=$(find_python); [ -n "$python" ] && "$python" -c 'import ensurepip' 2>/dev/null; }
has_mosquitto() { PATH=$PATH:/usr/sbin:/usr/local/sbin have mosquitto; }

# Where the programs lie: looked at in full only when that has changed, because asking Java takes a while.
places() { (PATH=$PATH:/usr/sbin:/usr/local/sbin; echo "${JAVA_HOME:-}" "$(command -v java mosquitto)"); }

# Prints the Debian packages that are missing, one a line.
missing_packages() {
    has_java || echo openjdk-17-jre-headless
    has_mosquitto || echo mosquitto
    if [ -z "$(find_python)" ]; then printf 'python3\npython3-venv\n'; elif ! [ -d .venv ] && ! has_venv; then echo python3-venv; fi
    if ! kafka_is_cached || ! connector_is_cached; then have mvn || echo maven; fi
    influxd_is_cached || have go || echo golang-go
}

install_packages() {
    local packages
    packages=$(missing_packages)
    [ -n "$packages" ] || return 0
    packages=$(echo "$packages" | tr '\n' ' ')
    if ! have apt-get || [ "$(id -u)" != 0 ]; then
        die "these are missing: $packages
       Install them (Debian, as root: apt-get install $packages) and run make setup again."
    fi
    say "installing $packages"
    apt-get update -q >"$LOGS/apt.log" 2>&1 || die "apt-get update failed: see $LOGS/apt.log"
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages >>"$LOGS/apt.log" 2>&1 ||
        die "apt-get install $packages failed: see $LOGS/apt.log"
    # Only the program is wanted: the stack starts its own broker.
    case " $packages " in
        *" mosquitto "*) if have systemctl; then systemctl disable --now mosquitto >>"$LOGS/apt.log" 2>&1 || true; fi ;;
    esac
    [ -n "$(find_python)" ] || die "no Python 3.11 or 3.12 was found; install one and name it: PYTHON=python3.11 make setup"
    has_java || die "the installed Java is older than 17; install Java 17 or point JAVA_HOME at one"
}

# Python ---------------------------------------------------------------------------------------------------------------

python_packages() {
    local python
    if ! [ -x .venv/bin/python ]; then
        python=$(find_python)
        "$python" -m venv .venv
    fi
    if ! [ -x .venv/bin/uv ] || [ "$(.venv/bin/uv --version | cut -d' ' -f2)" != "$UV_VERSION" ]; then
        .venv/bin/python -m pip install -q "uv==$UV_VERSION"
    fi
    export VIRTUAL_ENV=$PWD/.venv
    # Stays in .venv when the environment is brought in line with the lock, which does not name it.
    cp .venv/bin/uv "$PARTS/uv"
    # Compiled here, once: where Python may not or does not keep what it compiles, a Flink worker starts for 4 s longer.
    "$PARTS/uv" pip sync -q --require-hashes --compile-bytecode requirements.lock
    "$PARTS/uv" pip install -q --no-deps -e .
    mkdir -p .venv/bin && mv "$PARTS/uv" .venv/bin/uv
}

# Jars and influxd -----------------------------------------------------------------------------------------------------

kafka_is_cached() { is_done kafka "$KAFKA_KEY" "$PARTS/kafka" || [ -d "$CACHE/kafka-$KAFKA_KEY" ]; }
connector_is_cached() { is_done flink "$FLINK_KEY" "$PARTS/flink" || [ -d "$CACHE/flink-$FLINK_KEY" ]; }
influxd_is_cached() { is_done influxd "$INFLUXD" "$PARTS/bin/influxd" || [ -x "$CACHE/$INFLUXD_NAME/influxd" ]; }

# Fills a folder of the cache by a command that gets the folder's name; half a result is never taken for a whole.
cached() {
    local folder=$1
    shift
    [ -d "$CACHE/$folder" ] && return
    mkdir -p "$CACHE"
    local draft
    draft=$(mktemp -d "$CACHE/.draft-XXXXXX")
    "$@" "$draft"
    chmod 755 "$draft"
    # Another setup may have been faster.
    mv -T "$draft" "$CACHE/$folder" 2>/dev/null || rm -rf "$draft"
}

fetch_jars() { mvn -q -B -f "$1/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$2"; }
build_influxd() { GOBIN=$1 CGO_ENABLED=0 go install "$INFLUXD"; }

place() { # from the cache to a folder of var/parts
    rm -rf "$2"
    mkdir -p "$(dirname "$2")"
    cp -r "$1" "$2"
}

kafka_jars() {
    cached "kafka-$KAFKA_KEY" fetch_jars "$HERE/kafka"
    place "$CACHE/kafka-$KAFKA_KEY" "$PARTS/kafka"
}
flink_jars() { cached "flink-$FLINK_KEY" fetch_jars "$HERE/flink"; place "$CACHE/flink-$FLINK_KEY" "$PARTS/flink"; }
influxd() { cached "$INFLUXD_NAME" build_influxd; place "$CACHE/$INFLUXD_NAME" "$PARTS/bin"; }

# The whole ------------------------------------------------------------------------------------------------------------

# Runs a step in the background unless it is done: name, key, result, function.
begin() {
    if is_done "$1" "$2" "$3"; then return; fi
    say "$1 …"
    (set -e; "$4"; stamp "$1" "$2") >"$LOGS/$1.log" 2>&1 &
    STEPS+=("$1:$!")
}

finish() {
    local step failed=0
    for step in "${STEPS[@]}"; do
        if wait "${step#*:}"; then
            say "${step%:*} is there"
        else
            say "${step%:*} failed; the end of $LOGS/${step%:*}.log:"
            tail -n 15 "$LOGS/${step%:*}.log" >&2
            failed=1
        fi
    done
    return $failed
}

mkdir -p "$STAMPS" "$LOGS"
KAFKA_KEY=$(key $HERE/kafka/pom.xml)
FLINK_KEY=$(key $HERE/flink/pom.xml)
PYTHON_KEY=$(key requirements.lock pyproject.toml)
INFLUXD_NAME=influxd-${INFLUXD##*@}
STEPS=()
trap 'for step in "${STEPS[@]}"; do kill "${step#*:}" 2>/dev/null || true; done' INT TERM

SYSTEM_KEY=$(places | sha256sum | cut -c1-16)
if ! { is_done system "$SYSTEM_KEY" .venv/bin/python && is_done influxd "$INFLUXD" "$PARTS/bin/influxd" &&
    kafka_is_cached && connector_is_cached; }; then
    install_packages
    SYSTEM_KEY=$(places | sha256sum | cut -c1-16)
fi
begin influxd "$INFLUXD" "$PARTS/bin/influxd" influxd
begin python "$PYTHON_KEY" .venv/bin/tidemark python_packages
begin kafka "$KAFKA_KEY" "$PARTS/kafka" kafka_jars
begin flink "$FLINK_KEY" "$PARTS/flink" flink_jars
if [ ${#STEPS[@]} -gt 0 ]; then
    finish
    say "done"
fi
stamp system "$SYSTEM_KEY"
.venv/bin/python -m compileall -q connectors jobs simulators deploy
