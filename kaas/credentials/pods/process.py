"""AWS keys that are read anew while a Pod runs, with nothing in its image but a shell.

A Secret volume is refreshed by the kubelet, an environment variable never is. SDKs run what `credential_process` names
again when what it said expires. So the Pod sees the Secret's keys as files, and beside them, from annotations, a
configuration file and the script that it names. Both come into being with the Pod: there is no ConfigMap to keep.
"""

from __future__ import annotations

from typing import Final

from kaas.credentials.terms import AWS_MOUNT

CONFIG_FILE: Final = "config"
PROCESS_FILE: Final = "credential-process"

LIFETIME: Final = 20 * 60
"""Seconds after which an SDK asks again at the latest. botocore does so when less than 15 minutes are left
(botocore/credentials.py, _advisory_refresh_timeout), thus every 5; with less than that it would for every request."""

# Some SDKs hand the line to a shell, others split it into words themselves: so it must mean the same to both.
CONFIG: Final = f"[default]\ncredential_process = sh {AWS_MOUNT}/{PROCESS_FILE}\n"

# Only built-ins of a POSIX shell, and `date` as GNU, BusyBox and toybox have it; where there is none, no expiry is
# printed, and keys are read once. `..data` is the kubelet's link to one state of the volume: within it the key never
# belongs to another id. The kubelet may remove that state while it is read; then the script starts over, once.
PROCESS: Final = rf"""again=$1
cd -P "${{0%/*}}/..data" 2>/dev/null || cd "${{0%/*}}" || exit 1
read_json() {{
  rest= json=
  IFS= read -r rest <"$1" || [ -n "$rest" ] || return 1
  while :; do
    case $rest in
    *[\\\"]*)
      before=${{rest%%[\\\"]*}}
      rest=${{rest#"$before"}}
      after=${{rest#?}}
      json=$json$before\\${{rest%"$after"}}
      rest=$after ;;
    *) json=$json$rest; return 0 ;;
    esac
  done
}}
{{
  read_json AWS_ACCESS_KEY_ID && id=$json &&
  read_json AWS_SECRET_ACCESS_KEY && key=$json &&
  if [ -e AWS_SESSION_TOKEN ]; then read_json AWS_SESSION_TOKEN && token=",\"SessionToken\":\"$json\""; else token=; fi
}} 2>/dev/null || {{
  [ "$again" ] || exec sh "$0" again
  echo "the Secret with the AWS keys cannot be read" >&2
  exit 1
}}
until=$({{ date -u -d "@$(($(date +%s) + {LIFETIME}))" +%Y-%m-%dT%H:%M:%SZ; }} 2>/dev/null)
[ -z "$until" ] || token="$token,\"Expiration\":\"$until\""
printf '{{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s"%s}}\n' "$id" "$key" "$token"
"""
