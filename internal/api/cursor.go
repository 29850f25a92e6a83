package api

import (
	"encoding/base64"
	"encoding/json"

	"reeve/internal/rest"
	"reeve/internal/store"
)

// cursorOf writes where a page ended as an opaque text.
func cursorOf(sort string, key *store.Key) string {
	if key == nil {
		return ""
	}
	text, err := json.Marshal([]any{sort, key.Value, key.Num, key.ID})
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// parseCursor reads what cursorOf wrote for the same sort.
func parseCursor(sort, text string) (store.Key, error) {
	if text == "" {
		return store.Key{}, nil
	}
	bad := rest.Invalid("cursor", "the cursor is not one that this list gave out")
	plain, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return store.Key{}, bad
	}
	var key store.Key
	var sorted string
	parts := []any{&sorted, &key.Value, &key.Num, &key.ID}
	if err := json.Unmarshal(plain, &parts); err != nil || len(parts) != 4 || sorted != sort || key.ID == "" || !rest.PlainText(key.ID+key.Value) {
		return store.Key{}, bad
	}
	return key, nil
}
