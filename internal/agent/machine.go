package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"reeve/internal/collect"
)

// machine answers what marks this machine and not its disk: hashes of its
// board's identity and of the addresses of its network cards. What cannot be
// read is left out.
func machine(env collect.Env) []string {
	var marks []string
	add := func(kind, value string) {
		value = strings.ToLower(strings.TrimSpace(value))
		if value == "" || strings.Trim(value, "0-: ") == "" || strings.Contains(value, "not specified") || strings.Contains(value, "to be filled") {
			return
		}
		sum := sha256.Sum256([]byte(kind + "\x00" + value))
		marks = append(marks, kind+":"+hex.EncodeToString(sum[:8]))
	}
	for _, name := range []string{"product_uuid", "board_serial"} {
		text, _ := os.ReadFile(env.SysPath("class", "dmi", "id", name)) // root alone may read it
		add(name, string(text))
	}
	cards, _ := filepath.Glob(env.SysPath("class", "net", "*", "device"))
	for _, card := range cards {
		text, _ := os.ReadFile(filepath.Join(filepath.Dir(card), "address"))
		add("mac", string(text))
	}
	slices.Sort(marks)
	return slices.Compact(marks)
}
