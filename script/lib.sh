# Shared by the scripts of this folder; sourced, never run.
# shellcheck shell=bash

SANDY_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export SANDY_TOP
# The machine's own Python, not one that a version manager put in front of it.
SYSTEM_PYTHON=/usr/bin/python3

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Runs a command as root: directly, or through sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo --preserve-env=SANDY_IMAGE_DIR,http_proxy,https_proxy,no_proxy "$@"
  else die "this needs root, and sudo is not installed: $*"; fi
}

# The entries of a list file: one per line, `#` starts a comment.
entries() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$1"; }

image_dir() { printf '%s\n' "${SANDY_IMAGE_DIR:-/var/lib/sandy/images}"; }
