#!/bin/sh
# A CGI program that needs curl, jq and openssl. To serve it with BusyBox, make it executable as
# cgi-bin/receiver and run: SECRET=… busybox httpd -f -p 8000
# Other users of the machine can see the secret while openssl runs.
reply() { printf 'Status: %s\r\n\r\n' "$1"; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
case ${SECRET:?set SECRET to the shared secret} in
whsec_*) key=$(printf %s "${SECRET#whsec_}" | openssl base64 -d -A | hex) ;;
*) key=$(printf %s "$SECRET" | hex) ;;
esac
[ -n "$key" ] || exit 1
[ -n "$CONTENT_LENGTH" ] || { reply '411 Length Required'; exit; }
body=$(mktemp) && trap 'rm -f "$body"' EXIT
head -c "$CONTENT_LENGTH" > "$body"
wanted=v1,$({ printf '%s.%s.' "$HTTP_WEBHOOK_ID" "$HTTP_WEBHOOK_TIMESTAMP"; cat "$body"; } |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
# The comparison of digests takes the same time wherever the signatures differ.
digest() { printf %s "$1" | openssl dgst -sha256 -r; }
# The timestamp is a number if the signature is right.
if [ "$(digest "$HTTP_WEBHOOK_SIGNATURE")" != "$(digest "$wanted")" ] ||
  [ $(($(date +%s) - HTTP_WEBHOOK_TIMESTAMP)) -gt 300 ] || [ $((HTTP_WEBHOOK_TIMESTAMP - $(date +%s))) -gt 300 ]; then
  reply '401 Unauthorized'
  exit
fi
reply '202 Accepted'
exec > /dev/null # ends the response
[ -n "$HTTP_X_MERGEGATE_CALLBACK_TOKEN" ] || exit
iid=$(jq .object_attributes.iid "$body") check=$(jq .external_approval_rule.id "$body")
printf 'X-Mergegate-Callback-Token: %s' "$HTTP_X_MERGEGATE_CALLBACK_TOKEN" |
  curl -sS -m 10 -o /dev/null -H @- -d status=passed -d description=Checked \
    "__BASE_URL__/api/v4/projects/__PROJECT_ID__/merge_requests/$iid/status_checks/$check/callback"
