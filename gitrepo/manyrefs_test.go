package gitrepo

import (
	"bufio"
	"strings"
	"testing"
)

func TestHasManyRefs(t *testing.T) {
	line := "006d" + strings.Repeat("0", 40) + " " + strings.Repeat("1", 40) + " refs/heads/topic-000" + "\n!!"
	line = line[:0x6d]
	for _, c := range []struct {
		name, body string
		want       bool
	}{
		{"probe", "0000", false},
		{"one ref", line + "0000PACK" + strings.Repeat("x", 2*manyRefsPeek), false},
		{"thousands of refs", strings.Repeat(line, 3000) + "0000PACK", true},
		{"nonsense", strings.Repeat("x", 2*manyRefsPeek), false},
		{"empty", "", false},
	} {
		if got := hasManyRefs(bufio.NewReaderSize(strings.NewReader(c.body), manyRefsPeek)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
