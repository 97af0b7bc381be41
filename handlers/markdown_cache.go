package handlers

import (
	"crypto/sha256"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/mergegate/mergegate/views"
)

// maxKeptMarkdown is the size of the cache of rendered Markdown, in bytes of HTML
// and keys.
const maxKeptMarkdown = 16 << 20

type markdownKey [sha256.Size]byte

// markdownCache holds rendered Markdown by the digest of its source. It drops the
// texts that were used longest ago when it exceeds its size in bytes. It is safe
// for concurrent use.
type markdownCache struct {
	maxBytes int

	mu    sync.Mutex
	prose *simplelru.LRU[markdownKey, views.Prose]
	bytes int
}

func newMarkdownCache(maxBytes int) *markdownCache {
	cache := &markdownCache{maxBytes: maxBytes}
	dropped := func(_ markdownKey, prose views.Prose) { cache.bytes -= markdownSize(prose) }
	var err error
	// The limit in bytes is reached first, because each entry holds a key.
	if cache.prose, err = simplelru.NewLRU(maxBytes/sha256.Size+1, dropped); err != nil {
		panic(err) // only for a size below 1
	}
	return cache
}

func markdownSize(prose views.Prose) int { return len(prose.HTML) + sha256.Size }

func (m *markdownCache) get(key markdownKey) (views.Prose, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.prose.Get(key)
}

func (m *markdownCache) add(key markdownKey, prose views.Prose) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prose.Remove(key) // Add would replace the entry without a call of dropped
	m.prose.Add(key, prose)
	m.bytes += markdownSize(prose)
	for m.bytes > m.maxBytes {
		m.prose.RemoveOldest()
	}
}
