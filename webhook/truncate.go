package webhook

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// MaxPayload is the greatest size of a payload, in bytes.
const MaxPayload = 256 << 10

// minCut is the shortest length to which texts are cut, in bytes. The rest of a
// payload always fits with it.
const minCut = 256

// freeTexts returns the texts of unlimited length in a payload, with their names
// for mergegate.truncated.
func (p *payload) freeTexts() []freeText {
	texts := []freeText{
		field("object_attributes.description", &p.ObjectAttributes.Description),
		field("object_attributes.last_commit.message", &p.ObjectAttributes.LastCommit.Message),
		field("object_attributes.last_commit.title", &p.ObjectAttributes.LastCommit.Title),
	}
	if change, changed := p.Changes["description"]; changed {
		set := func() { p.Changes["description"] = change }
		texts = append(texts,
			anyField("changes.description.previous", &change.Previous, set),
			anyField("changes.description.current", &change.Current, set))
	}
	return texts
}

// freeText is a text that may be cut.
type freeText struct {
	name string
	get  func() string
	set  func(string)
}

func field(name string, text *string) freeText {
	return freeText{name: name, get: func() string { return *text }, set: func(s string) { *text = s }}
}

// anyField is a text in a change, whose values have several types.
func anyField(name string, value *any, changed func()) freeText {
	return freeText{
		name: name,
		get:  func() string { text, _ := (*value).(string); return text },
		set:  func(s string) { *value = s; changed() },
	}
}

// encodeWithin encodes a payload to at most MaxPayload bytes. It halves the limit
// for its free texts until the payload fits.
func encodeWithin(p *payload) ([]byte, error) {
	var truncated []string
	for limit := MaxPayload; ; limit /= 2 {
		for _, text := range p.freeTexts() {
			if full := text.get(); len(full) > limit {
				text.set(cut(full, limit))
				if !slices.Contains(truncated, text.name) {
					truncated = append(truncated, text.name)
				}
			}
		}
		if len(truncated) > 0 {
			if p.Mergegate == nil {
				p.Mergegate = &hookMergegate{}
			}
			slices.Sort(truncated)
			p.Mergegate.Truncated = truncated
		}
		body, err := encode(p)
		if err != nil {
			return nil, fmt.Errorf("webhook: payload: %w", err)
		}
		if len(body) <= MaxPayload {
			return body, nil
		}
		if limit <= minCut {
			return nil, fmt.Errorf("webhook: payload has %d bytes though its texts are cut to %d", len(body), limit)
		}
	}
}

// cut shortens text to at most n bytes without splitting a character.
func cut(text string, n int) string {
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
