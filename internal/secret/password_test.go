package secret

import (
	"strings"
	"testing"
)

func TestOnlyThePasswordMatchesItsHash(t *testing.T) {
	hash := HashPassword("correct horse")
	if strings.Contains(hash, "horse") || hash == HashPassword("correct horse") {
		t.Errorf("the hash tells of the password: %s", hash)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct hors": false, "": false} {
		if got, err := PasswordMatches(hash, password); got != want || err != nil {
			t.Errorf("%q: %v %v", password, got, err)
		}
	}
	for _, password := range []string{"", "correct horse"} {
		if got, err := PasswordMatches("", password); got || err != nil {
			t.Errorf("nobody has the password %q: %v", password, err)
		}
	}
	for _, hash := range []string{"x", "$argon2id$v=19$m=1$x$y", strings.Replace(hash, "p=1$", "p=1$!", 1)} {
		if got, err := PasswordMatches(hash, "correct horse"); got || err == nil {
			t.Errorf("%s was taken for a hash", hash)
		}
	}
}
