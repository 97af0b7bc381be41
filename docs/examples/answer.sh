#!/bin/sh
# Sends the response to a status check.
#
#   MERGEGATE_URL=https://git.example.com MERGEGATE_TOKEN=mgat-... \
#     answer.sh PROJECT_ID IID SERVICE_ID SHA STATUS [DESCRIPTION]
#
# The first four arguments are in the payload: project.id, object_attributes.iid,
# external_approval_rule.id and object_attributes.last_commit.id. Prints the
# answer of Mergegate. Exits with 0 if the response was recorded.
set -eu

url="$MERGEGATE_URL/api/v4/projects/$1/merge_requests/$2/status_check_responses"
# The token is passed through standard input: other users can see arguments.
answer=$(printf 'PRIVATE-TOKEN: %s\n' "$MERGEGATE_TOKEN" |
	curl --silent --show-error --max-time 10 --write-out '\n%{http_code}' --header @- \
		--data-urlencode "external_status_check_id=$3" --data-urlencode "sha=$4" \
		--data-urlencode "status=$5" --data-urlencode "description=${6:-}" "$url")
printf '%s\n' "$answer"
case $answer in
*"
201") ;;
*) exit 1 ;;
esac
