#!/bin/sh
# Verifies the signatures of a delivery, to look into one by hand.
#
#   SHARED_SECRET=... verify.sh BODY_FILE X-GITLAB-SIGNATURE \
#     [WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE]
#
# BODY_FILE holds the body byte for byte. Needs openssl. A service must compare
# in constant time and refuse old timestamps as well; this does neither.
set -eu

hex() { od -An -v -tx1 | tr -d ' \n'; }
hmac() { openssl dgst -sha256 -mac HMAC -macopt "hexkey:$1" -binary; }

key=$(printf %s "$SHARED_SECRET" | hex)
if [ "$(hmac "$key" <"$1" | hex)" != "$2" ]; then
	echo "X-Gitlab-Signature is not the body's" >&2
	exit 1
fi
[ $# -gt 2 ] || exit 0
case $SHARED_SECRET in
whsec_*) key=$(printf %s "${SHARED_SECRET#whsec_}" | openssl base64 -d -A | hex) ;;
esac
if [ "v1,$({ printf '%s.%s.' "$3" "$4" && cat "$1"; } | hmac "$key" | openssl base64 -A)" != "$5" ]; then
	echo "webhook-signature is not the body's" >&2
	exit 1
fi
