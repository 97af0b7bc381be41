package gitrepo

import (
	"bufio"
	"strconv"
)

// manyRefsPeek is how much of a push is read to learn whether it has many refs. It holds
// about 150 updates.
const manyRefsPeek = 16 << 10

// syncedAtEnd makes git write the refs of a push without waiting for the disk for each of
// them. hookPipes waits once for all, before the database refers to them.
var syncedAtEnd = []string{"-c", "core.fsync=objects,derived-metadata,index"}

// hasManyRefs reports whether the list of updates at the beginning of a push is longer
// than manyRefsPeek. It reads only as far as the packet that ends the list.
func hasManyRefs(body *bufio.Reader) bool {
	for at := 0; at+4 <= manyRefsPeek; {
		head, err := body.Peek(at + 4)
		if err != nil {
			return false // shorter, or broken: git will report it
		}
		length, err := strconv.ParseUint(string(head[at:]), 16, 16)
		if err != nil || length < 4 { // the flush packet
			return false
		}
		at += int(length)
	}
	return true
}
