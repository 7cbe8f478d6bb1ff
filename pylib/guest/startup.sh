#!/bin/bash
# Startup script of a bake VM: runs the payload from the VM's metadata, tells a failure that the
# payload could not tell itself, and powers the VM off whatever happens.
# It needs what Debian 12's image on Compute Engine ships: bash, curl, base64 and Python.
set -Eeuo pipefail

server=http://${GCE_METADATA_HOST:-metadata.google.internal}/computeMetadata/v1/instance
folder=/run/vfs-bake
inflate=/var/lib/vfs-inflate.so # Debian mounts /run with noexec
ended=/var/lib/vfs-bake-ended # on the boot disk: a VM that is started again has nothing to do
nonce=

metadata() {
  curl --fail --silent --show-error --retry 8 --retry-connrefused --max-time 60 \
    --header 'Metadata-Flavor: Google' "$@"
}

# Only texts without quotes and backslashes come here.
report_failure() {
  local line=$1 message=$2
  echo "line $line: $message" >&2 # what failed may have its output in a file
  metadata --request PUT --data-binary @- "$server/guest-attributes/vfs/report" <<END || true
{"nonce": "$nonce", "phase": "boot", "done_bytes": 0, "total_bytes": 0, "result": "fail",
 "message": "startup.sh: $message", "line": $line, "digest": "", "facts": {}}
END
}

failed() {
  local status=$? line=$1
  trap - ERR
  report_failure "$line" "$step failed with status $status"
  exit 1
}

trap 'sync || true; poweroff' EXIT
if [ -e "$ended" ]; then
  echo "the bake of this VM has ended before"
  exit 0
fi

step="reading the metadata"
trap 'failed "$LINENO"' ERR
mkdir -p "$folder"
metadata "$server/attributes/vfs-job" >"$folder/job"
nonce=$(grep -o '"nonce": "[0-9A-Za-z-]*"' "$folder/job" | cut -d'"' -f4)
metadata "$server/attributes/vfs-payload" >"$folder/payload"

step="unpacking the payload"
base64 --decode "$folder/payload" >"$folder/payload.zip"
/usr/bin/python3 -m zipfile -e "$folder/payload.zip" "$folder/package"
# A faster inflate, if the host sent one: the payload proves it, and does without.
{ metadata "$server/attributes/vfs-inflate" | base64 --decode | gunzip; } \
  >"$inflate" 2>/dev/null || true

status=0
PYTHONPATH=$folder/package VFS_INFLATE=$inflate \
  /usr/bin/python3 -B -m pylib.guest.payload.main || status=$?
# 0 and 3: the payload has reported success or failure itself.
if [ "$status" -ne 0 ] && [ "$status" -ne 3 ]; then
  report_failure "$LINENO" "the payload ended with status $status and without a report"
fi
touch "$ended"
