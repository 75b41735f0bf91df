#!/usr/bin/env bash
# Installs tidemark-pi on a Raspberry Pi: a user, a venv, a config with the sensors that are there, a systemd unit.
# Run it again to update, or to go on where it stopped; what is there already is kept.
set -euo pipefail

HERE="$(cd "$(dirname "$0")" && pwd)"
usage() {
    cat <<'TEXT'
Usage: sudo install.sh --site SITE --gateway NAME --host BROKER [options]

  --site, --gateway, --host   who this board is, and its broker (not needed when the config is there already)
  --port PORT                 the broker's port (8883)
  --ca FILE                   certificate of the CA that signed the broker's; copied
  --username NAME             the gateway's login; its password is asked for, or comes from
  --password-file FILE        a file that holds it; copied
  --no-tls                    for a broker on this board
  --source PATH               Tidemark's folder or wheel (default: the folder that this script lies in)
  --venv DIR                  use this venv, with Tidemark in it, instead of making one
  --no-start                  install the service and don't start it
  --prefix DIR                install below DIR: no user, no service; to look at, or for an image
  --dry-run                   say what would be done
Example: sudo deploy/raspberrypi/install.sh --site plant-1 --gateway pi-7 --host tidemark.example --ca ca.crt --username pi-7
TEXT
}
say() { printf 'install: %s\n' "$*" >&2; }
die() { printf 'install: %s\n' "$*" >&2; exit 1; }
wrong() { printf 'install: %s\n' "$*" >&2; usage >&2; exit 2; }

SITE='' GATEWAY='' HOST='' PORT='' CA='' USERNAME='' PASSWORD_FILE='' SOURCE="$HERE/../.." VENV='' PREFIX=''
TLS=1 START=1 DRY=''
while [ $# -gt 0 ]; do
    case $1 in
        --site | --gateway | --host | --port | --ca | --username | --password-file | --source | --venv | --prefix)
            [ $# -ge 2 ] && [ -n "$2" ] || wrong "$1 needs a value"
            name=${1#--} name=${name//-/_}
            printf -v "${name^^}" '%s' "$2"
            shift 2 ;;
        --no-tls) TLS='' && shift ;;
        --no-start) START='' && shift ;;
        --dry-run) DRY=1 && shift ;;
        -h | --help) usage && exit 0 ;;
        *) wrong "$1 is no option" ;;
    esac
done

# Relative paths are the caller's; a prefix is made absolute because the unit and the config name files below it.
PREFIX=${PREFIX:+$(realpath -m "$PREFIX")}
ETC=$PREFIX/etc/tidemark-pi STATE=$PREFIX/var/lib/tidemark-pi OPT=$PREFIX/opt/tidemark-pi
UNIT=$PREFIX/etc/systemd/system/tidemark-pi.service LINK=$PREFIX/usr/local/bin/tidemark-pi
OWNER=tidemark-pi
CONFIG=$ETC/config.toml PASSWORD=$ETC/password
MADE=${VENV:+$(realpath -m "$VENV")}
MADE=${MADE:-$OPT/venv}
BIN=$MADE/bin/tidemark-pi

# Does a step, or says it.
run() {
    if [ -n "$DRY" ]; then printf 'would: %s\n' "$*"; else "$@"; fi
}
# As run, where the real system is meant and no prefix.
system() { [ -n "$PREFIX" ] || run "$@"; }

check_before() {
    [ -n "$PREFIX$DRY" ] || [ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
    if [ ! -e "$CONFIG" ]; then
        [ -n "$SITE" ] && [ -n "$GATEWAY" ] && [ -n "$HOST" ] \
            || wrong "there is no $CONFIG yet: --site, --gateway and --host are needed"
    fi
    [ -z "$CA" ] || [ -r "$CA" ] || die "$CA: no such file"
    [ -z "$PASSWORD_FILE" ] || [ -r "$PASSWORD_FILE" ] || die "$PASSWORD_FILE: no such file"
    if [ -n "$VENV" ]; then
        [ -x "$BIN" ] || die "$BIN: no such program; is Tidemark with the extra pi in that venv?"
        return
    fi
    [ -e "$SOURCE/pyproject.toml" ] || [ -f "$SOURCE" ] || die "$SOURCE: neither Tidemark's folder nor a wheel"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "needs Python 3.11 or later (Raspberry Pi OS 12)"
}

make_user() {
    [ -z "$PREFIX" ] || return 0
    if ! id "$OWNER" >/dev/null 2>&1; then
        run useradd --system --user-group --home-dir "$STATE" --no-create-home --shell /usr/sbin/nologin "$OWNER"
    fi
    local group
    # For /dev/i2c-* and for vcgencmd's /dev/vcio; a system without them has no such group.
    for group in i2c video; do
        if getent group "$group" >/dev/null; then run usermod -a -G "$group" "$OWNER"; fi
    done
}

make_folders() {
    run install -d -m 755 "$(dirname "$UNIT")" "$(dirname "$LINK")" "$ETC"
    run install -d -m 700 "$STATE"
    system chown "$OWNER:$OWNER" "$STATE"
}

make_venv() {
    if [ -z "$VENV" ]; then
        if ! python3 -c 'import ensurepip' 2>/dev/null; then system apt-get install -y python3-venv; fi
        [ -x "$MADE/bin/python" ] || run python3 -m venv "$MADE"
        run "$MADE/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "$(realpath -m "$SOURCE")[pi]"
    fi
    run ln -sfn "$BIN" "$LINK"
}

# The file is made with its mode before the password is in it.
write_password() {
    if [ -n "$DRY" ]; then printf 'would: write the password to %s, mode 600\n' "$PASSWORD"; return; fi
    (umask 077 && cat >"$PASSWORD.new")
    [ -s "$PASSWORD.new" ] || { rm -f "$PASSWORD.new"; die "the password is empty"; }
    system chown "$OWNER:$OWNER" "$PASSWORD.new"
    mv "$PASSWORD.new" "$PASSWORD"
}

make_secrets() {
    [ -z "$CA" ] || run install -m 644 "$CA" "$ETC/ca.crt"
    if [ -n "$PASSWORD_FILE" ]; then
        write_password <"$PASSWORD_FILE"
    elif [ -n "$USERNAME" ] && [ ! -e "$PASSWORD" ]; then
        [ -t 0 ] || [ -n "$DRY" ] || die "no terminal to ask for the password: give --password-file"
        local typed=''
        [ -n "$DRY" ] || { read -rsp "Password of $USERNAME: " typed && echo >&2; }
        printf '%s' "$typed" | write_password
    fi
}

make_config() {
    if [ -e "$CONFIG" ]; then say "$CONFIG is kept"; return; fi
    local options=(--site "$SITE" --gateway "$GATEWAY" --host "$HOST" --outbox "$STATE/outbox.sqlite" --output "$CONFIG")
    [ -z "$PORT" ] || options+=(--port "$PORT")
    [ -n "$TLS" ] || options+=(--no-tls)
    [ -z "$CA" ] || options+=(--ca-file "$ETC/ca.crt")
    [ -z "$USERNAME" ] || options+=(--username "$USERNAME" --password-file "$PASSWORD")
    run "$BIN" init "${options[@]}"
    system chmod 644 "$CONFIG"
}

make_unit() {
    if [ -n "$DRY" ]; then printf 'would: write %s\n' "$UNIT"; return; fi
    sed -e "s|@BIN@|$BIN|" -e "s|@CONFIG@|$CONFIG|" -e "s|@DOCS@|$(realpath -m "$HERE/../../docs/raspberry-pi.md")|" \
        "$HERE/tidemark-pi.service" >"$UNIT"
    chmod 644 "$UNIT"
}

start() {
    [ -z "$PREFIX" ] || return 0
    run systemctl daemon-reload
    [ -n "$START" ] || return 0
    run systemctl enable --quiet tidemark-pi.service
    run systemctl restart tidemark-pi.service
    # As the user that the service has: root may read what it may not.
    run runuser -u "$OWNER" -- "$BIN" check --config "$CONFIG" || say "correct what is WRONG above, then: systemctl restart tidemark-pi"
}

check_before
make_user
make_folders
make_venv
make_secrets
make_config
make_unit
start
say "done: systemctl status tidemark-pi, journalctl -u tidemark-pi, $LINK check"
