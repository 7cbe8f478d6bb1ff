# shellcheck shell=bash
# Sourced by every script here: strict mode, the repository's root, and what several scripts need.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
TOOLS_BIN=$ROOT/.tools/bin
# The caller's own PATH, also under another script here, for those that look for what they may use
# instead of installing it.
export OUTER_PATH=${PATH//"$TOOLS_BIN:$ROOT/.venv/bin:"/}
export PATH=$TOOLS_BIN:$ROOT/.venv/bin:$PATH
cd "$ROOT"

say() { printf '==> %s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Prints a command as it is about to run, then runs it.
run() {
  printf '+ %s\n' "$*" >&2
  "$@"
}

# The sha256 of standard input.
sha256() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

# One digest over files and a text: fingerprint TEXT FILE…
fingerprint() {
  local text=$1
  shift
  { printf '%s\n' "$text"; cat "$@"; } | sha256
}

# True when $1 is at least $2, both dotted numbers.
version_at_least() {
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# Holds LOCK until the script ends, so that two runs at once build one after the other.
hold_lock() {
  mkdir -p "$(dirname "$1")"
  command -v flock >/dev/null || return 0
  exec 9>"$1"
  if ! flock --nonblock 9; then
    say "waiting for another run that holds ${1#"$ROOT/"}"
    flock 9
  fi
}
