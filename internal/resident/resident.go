// Package resident lets go of mapped pages that count as memory of this
// process. They stay in the page cache, where who needs them next finds them.
package resident

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// A Mapping is where files are mapped. To let go of what was unmapped since,
// with something else in its place, would destroy that.
type Mapping []*procfs.ProcMap

// Of answers the mappings of this process that are ours and cannot be written.
func Of(ours func(m *procfs.ProcMap) bool) (m Mapping, err error) {
	self, err := procfs.Self()
	if err != nil {
		return nil, fmt.Errorf("read what is mapped: %w", err)
	}
	all, err := self.ProcMaps()
	if err != nil {
		return nil, fmt.Errorf("read what is mapped: %w", err)
	}
	for _, one := range all {
		if !one.Perms.Write && ours(one) {
			m = append(m, one)
		}
	}
	return m, nil
}

// Release lets go of what was read of them.
func (m Mapping) Release() error {
	for _, one := range m {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, one.StartAddr, one.EndAddr-one.StartAddr, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("let go of %s: %w", one.Pathname, errno)
		}
	}
	return nil
}

// settled is when the start of a program is over.
const settled = 5 * time.Second

// AfterStart gives back what only the start of the program needed, once that is
// over.
func AfterStart() {
	time.AfterFunc(settled, func() {
		debug.FreeOSMemory()
		releaseProgram()
	})
}

// releaseProgram lets go of the pages of the program itself: most of them are
// of its start. It does nothing where a page may not be as it is in the file,
// that is unless the program is linked statically at a fixed address, and
// nothing where there is no /proc.
func releaseProgram() {
	if !static() {
		return
	}
	file, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	m, err := Of(func(m *procfs.ProcMap) bool { return m.Perms.Private && m.Pathname == file })
	if err != nil {
		return
	}
	_ = m.Release() // then they stay
}

// static reports whether nothing of the program was moved when it was loaded.
func static() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	said := map[string]string{}
	for _, s := range info.Settings {
		said[s.Key] = s.Value
	}
	return said["-buildmode"] == "exe" && said["CGO_ENABLED"] == "0" && said["GOOS"] == "linux"
}
