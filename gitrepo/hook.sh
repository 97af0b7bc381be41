#!/bin/sh
# The hooks pre-receive and post-receive of Mergegate's repositories. Passes what git
# tells it to the server that started git, through file descriptor 3, and prints the
# answer, which it reads from file descriptor 4. If the server has ended, the hook
# fails, and git rejects the push.
trap '' PIPE # the answer explains why the server stopped reading
{
	printf '%s\0' "${0##*/}" "$GIT_OBJECT_DIRECTORY" "$GIT_ALTERNATE_OBJECT_DIRECTORIES"
	n=0
	while [ "$n" -lt "${GIT_PUSH_OPTION_COUNT:-0}" ]; do
		eval "printf '+%s\0' \"\$GIT_PUSH_OPTION_$n\""
		n=$((n + 1))
	done
	printf '\0'
	cat
	printf '\0'
} >&3 2>/dev/null
while IFS= read -r line <&4; do
	case $line in
	accept) exit 0 ;;
	refuse) exit 1 ;;
	esac
	printf '%s\n' "${line#|}"
done
exit 1
