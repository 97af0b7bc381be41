#!/bin/sh
# Verifies the signatures of a delivery, for debugging.
#
#   SHARED_SECRET=... verify.sh BODY_FILE X-GITLAB-SIGNATURE \
#     [WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE]
#
# BODY_FILE contains the exact bytes of the body. Needs openssl. This script does
# not compare in constant time and accepts old timestamps; a service must not.
set -eu

hex() { od -An -v -tx1 | tr -d ' \n'; }
hmac() { openssl dgst -sha256 -mac HMAC -macopt "hexkey:$1" -binary; }

key=$(printf %s "$SHARED_SECRET" | hex)
if [ "$(hmac "$key" <"$1" | hex)" != "$2" ]; then
	echo "X-Gitlab-Signature does not match the body" >&2
	exit 1
fi
[ $# -gt 2 ] || exit 0
case $SHARED_SECRET in
whsec_*) key=$(printf %s "${SHARED_SECRET#whsec_}" | openssl base64 -d -A | hex) ;;
esac
if [ "v1,$({ printf '%s.%s.' "$3" "$4" && cat "$1"; } | hmac "$key" | openssl base64 -A)" != "$5" ]; then
	echo "webhook-signature does not match the body" >&2
	exit 1
fi
