# shellcheck shell=sh
# Takes the API key from its file, or else from the environment, then becomes the server. $(...) drops a newline
# at the end, which a Secret made with `echo` or `--from-file` holds and which no client would ever send. vLLM
# takes an empty key for none and would serve everyone.
set -eu
file=/etc/vllm-fast-start/api-key/api-key
if [ -f "$file" ]; then
  VLLM_API_KEY=$(cat "$file")
fi
key=$(printf '%s' "$VLLM_API_KEY")
if [ -z "$key" ]; then
  echo "The API key is empty. Put a key into the Secret that server.apiKey.secretName names, then restart the pod." | tee -a /dev/termination-log >&2
  exit 1
fi
export VLLM_API_KEY="$key"
exec "$@"
