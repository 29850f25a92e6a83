package app

import "testing"

func TestALargeHeapGrowsByLess(t *testing.T) {
	for live, want := range map[uint64]int{0: 50, 20 << 20: 50, 256 << 20: 50, 320 << 20: 40, 512 << 20: 25, 4 << 30: 25} {
		if got := growth(live); got != want {
			t.Errorf("%d MB live: %d %%, not %d", live>>20, got, want)
		}
	}
}
