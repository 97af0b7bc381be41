#!/bin/sh
# A CGI program that needs curl, jq and openssl. To serve it with BusyBox, make it executable as
# cgi-bin/receiver and run: SECRET=… busybox httpd -f -p 8000
body=$(mktemp) && trap 'rm -f "$body"' EXIT
head -c "${CONTENT_LENGTH:-0}" > "$body"
signature=$(openssl dgst -sha256 -hmac "$SECRET" -r < "$body" | cut -d ' ' -f 1)
if [ "$signature" != "$HTTP_X_GITLAB_SIGNATURE" ]; then
  printf 'Status: 401 Unauthorized\r\n\r\n'
  exit
fi
printf 'Status: 202 Accepted\r\n\r\n'
[ -n "$HTTP_X_MERGEGATE_CALLBACK_TOKEN" ] || exit
iid=$(jq .object_attributes.iid "$body") check=$(jq .external_approval_rule.id "$body")
printf 'X-Mergegate-Callback-Token: %s' "$HTTP_X_MERGEGATE_CALLBACK_TOKEN" |
  curl -sS -o /dev/null -H @- -d status=passed -d description=Checked \
    "__BASE_URL__/api/v4/projects/__PROJECT_ID__/merge_requests/$iid/status_checks/$check/callback"
