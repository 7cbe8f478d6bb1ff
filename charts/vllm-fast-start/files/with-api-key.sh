# shellcheck shell=sh
# Reads the API key from its file, then becomes the server. $(...) drops a newline at the end of the file,
# which a Secret made with `echo` or `--from-file` holds and which no client would ever send.
set -eu
key=$(cat /etc/vllm-fast-start/api-key/api-key)
if [ -z "$key" ]; then
  echo "The API key is empty. Put a key into the Secret that server.apiKey.secretName names, then restart the pod." | tee -a /dev/termination-log >&2
  exit 1
fi
export VLLM_API_KEY="$key"
exec "$@"
