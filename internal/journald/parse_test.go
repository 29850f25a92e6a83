package journald

import "testing"

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"__CURSOR":"s=2","__REALTIME_TIMESTAMP":"1790000000000000","MESSAGE":"cannot bind","PRIORITY":"3","_SYSTEMD_UNIT":"nginx.service"}`), 100)
	f.Add([]byte(`{"__CURSOR":"s=7","__REALTIME_TIMESTAMP":"1790000000000000","MESSAGE":[1,2,300],"PRIORITY":["3"]}`+"\n{\n"), 0)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		entries, _ := parse(b, limit)
		size := 0
		for _, e := range entries {
			size += len(e.Text)
		}
		if size > max(limit, 0) {
			t.Fatalf("%d bytes, limit %d", size, limit)
		}
	})
}
