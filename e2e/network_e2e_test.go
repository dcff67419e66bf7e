//go:build e2e && linux

package e2e

import (
	endian "encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// apart is set, for a test that runs itself again in a network of its own, in the
// process that is there.
const apart = "TUFOCI_E2E_APART"

// runApart runs the test that calls it again, as a process in a network of its own
// that has a loopback interface and nothing else. What it starts ends with it: it is
// the first process of its process namespace. In that process it returns true.
func runApart(t *testing.T) bool {
	t.Helper()
	if os.Getenv(apart) != "" {
		return true
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	asRoot := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID}
	asAnybody := &syscall.SysProcAttr{
		Cloneflags:  asRoot.Cloneflags | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	for _, attributes := range []*syscall.SysProcAttr{asRoot, asAnybody} {
		command := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v")
		command.Env = append(os.Environ(), apart+"=1")
		command.SysProcAttr = attributes
		var out strings.Builder
		command.Stdout, command.Stderr = &out, &out
		if err = command.Start(); err == nil {
			if err := command.Wait(); err != nil {
				t.Fatalf("apart: %v\n%s", err, &out)
			}
			t.Logf("apart:\n%s", &out)
			return false
		}
	}
	need(t, "a network namespace", "it takes root or user namespaces: "+err.Error())
	return false
}

// network is a network with a loopback interface and nothing else.
type network struct {
	todo chan func()
}

// newNetwork makes one, which ends with the test.
func newNetwork(t testing.TB) *network {
	t.Helper()
	n := &network{make(chan func())}
	made := make(chan error)
	go func() {
		// Never unlocked: the thread ends with this function, and nobody else gets it.
		runtime.LockOSThread()
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err == nil {
			err = raise(netip.Addr{})
		}
		made <- err
		for do := range n.todo {
			do()
		}
	}()
	t.Cleanup(func() { close(n.todo) })
	if err := <-made; err != nil {
		t.Fatalf("making a network: %v", err)
	}
	return n
}

// in runs a function on a thread of the network, and waits for it. What the function
// leaves to other goroutines is not there.
func (n *network) in(do func() error) error {
	done := make(chan error)
	n.todo <- func() { done <- do() }
	return <-done
}

// start starts a process in the network.
func (n *network) start(command *exec.Cmd) error { return n.in(command.Start) }

// raise brings the loopback interface of the thread's network up, with a further
// IPv4 address unless that is the zero one.
func raise(address netip.Addr) error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	// struct ifreq of netdevice(7): a name of 16 bytes, and a union of 24.
	set := func(operation uintptr, name string, value []byte) error {
		var request [40]byte
		copy(request[:16], name)
		copy(request[16:], value)
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), operation, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return os.NewSyscallError("ioctl "+name, errno)
		}
		return nil
	}
	err = set(syscall.SIOCSIFFLAGS, "lo", endian.NativeEndian.AppendUint16(nil, syscall.IFF_UP|syscall.IFF_RUNNING))
	if err == nil && address.IsValid() {
		// struct sockaddr_in: family, port, address.
		family := endian.NativeEndian.AppendUint16(nil, syscall.AF_INET)
		err = set(syscall.SIOCSIFADDR, "lo:1", slices.Concat(family, []byte{0, 0}, address.AsSlice()))
	}
	return err
}
