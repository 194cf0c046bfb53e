# Shared by the scripts of this folder; sourced, never run.
# shellcheck shell=bash

SANDY_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export SANDY_TOP

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# In front of a command that needs root: nothing, or sudo with our own settings passed on.
AS_ROOT=()
if [ "$(id -u)" != 0 ]; then
  settings=$(compgen -e | grep -E '^(SANDY_.*|CI|https?_proxy|no_proxy)$' | paste -sd, || true)
  AS_ROOT=(sudo ${settings:+"--preserve-env=$settings"})
fi
as_root() {
  [ ${#AS_ROOT[@]} = 0 ] || command -v sudo >/dev/null || die "this needs root, and sudo is not installed: $*"
  "${AS_ROOT[@]}" "$@"
}

# The entries of a list file: one per line, `#` starts a comment.
entries() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$1"; }

image_dir() { printf '%s\n' "${SANDY_IMAGE_DIR:-/var/lib/sandy/images}"; }
