package handlers

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/views"
)

func TestMarkdownCache_OverItsSize_DropsWhatWasUsedLongestAgo(t *testing.T) {
	key := func(name string) markdownKey { return sha256.Sum256([]byte(name)) }
	prose := views.Prose{HTML: strings.Repeat("x", 100-sha256.Size)}
	cache := newMarkdownCache(250) // room for two
	cache.add(key("a"), prose)
	cache.add(key("b"), prose)
	cache.add(key("b"), prose) // replaces the entry
	cache.get(key("a"))
	cache.add(key("c"), prose)
	for name, want := range map[string]bool{"a": true, "b": false, "c": true} {
		if _, found := cache.get(key(name)); found != want {
			t.Errorf("%s: found %v, want %v", name, found, want)
		}
	}
	if cache.bytes != 200 {
		t.Errorf("size is %d bytes, want 200", cache.bytes)
	}
	cache.add(key("d"), views.Prose{HTML: strings.Repeat("x", 250)}) // larger than the cache
	if cache.bytes != 0 || cache.prose.Len() != 0 {
		t.Errorf("%d texts of %d bytes are left", cache.prose.Len(), cache.bytes)
	}
}
