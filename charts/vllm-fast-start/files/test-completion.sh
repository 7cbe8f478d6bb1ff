# shellcheck shell=sh
# Asks for one completion through the Service, as a client would. The key travels in curl's configuration on
# standard input, not in its arguments, which every process on the node can read.
set -eu
key=/etc/vllm-fast-start/api-key/api-key
header() {
  if [ -f "$key" ]; then
    printf 'header = "Authorization: Bearer %s"\n' "$(cat "$key")"
  fi
}
answer=$(header | curl --config - --silent --show-error --fail-with-body --max-time 120 \
  --header 'Content-Type: application/json' --data "$REQUEST" "$URL") || {
  echo "No completion from $URL: $answer" >&2
  exit 1
}
if ! echo "$answer" | grep -Eq '"text": *"[^"]'; then
  echo "The answer from $URL holds no completion, or an empty one: $answer" >&2
  exit 1
fi
echo "$answer"
