// One memberlist node with its LAN defaults that tells whom it sees come and go, in the protocol of ../program.mjs.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/ioutil"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/hashicorp/memberlist"
)

const clockMonotonic = 1
const leaveTimeout = 10 * time.Second

type order struct {
	Do    string `json:"do"`
	Name  string `json:"name"`
	Seeds string `json:"seeds"`
}

type events struct{}

func (events) NotifyJoin(n *memberlist.Node)   { saw("join", n.Name) }
func (events) NotifyLeave(n *memberlist.Node)  { saw("gone", n.Name) }
func (events) NotifyUpdate(n *memberlist.Node) {}

var reports = make(chan string, 1024)

func saw(what, name string) {
	tell(map[string]interface{}{"event": "saw", "what": what, "name": name, "at": machineMs()})
}

func tell(report map[string]interface{}) {
	line, _ := json.Marshal(report)
	reports <- string(line)
}

// The machine's monotonic clock, the same for all processes; Go's own is per process.
func machineMs() float64 {
	var at syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&at)), 0)
	return float64(at.Sec)*1e3 + float64(at.Nsec)/1e6
}

func start(o order) (*memberlist.Memberlist, error) {
	config := memberlist.DefaultLANConfig()
	config.Name = o.Name
	config.BindAddr = "127.0.0.1"
	config.BindPort = 0
	config.AdvertiseAddr = "127.0.0.1"
	config.Events = events{}
	config.LogOutput = ioutil.Discard
	calledAt := machineMs()
	list, err := memberlist.Create(config)
	if err != nil {
		return nil, err
	}
	if o.Seeds != "" {
		if _, err := list.Join(strings.Split(o.Seeds, ",")); err != nil {
			return nil, err
		}
	}
	address := list.LocalNode().Address()
	tell(map[string]interface{}{"event": "started", "address": address, "calledAt": calledAt})
	return list, nil
}

func leave(list *memberlist.Memberlist) error {
	calledAt := machineMs()
	if err := list.Leave(leaveTimeout); err != nil {
		return err
	}
	tell(map[string]interface{}{"event": "left", "calledAt": calledAt})
	return nil
}

func main() {
	go func() {
		for line := range reports {
			fmt.Println(line)
		}
	}()
	var list *memberlist.Memberlist
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		var o order
		err := json.Unmarshal(orders.Bytes(), &o)
		switch {
		case err != nil:
		case o.Do == "start":
			list, err = start(o)
		case o.Do == "leave":
			err = leave(list)
		}
		if err != nil {
			tell(map[string]interface{}{"event": "failed", "message": o.Do + ": " + err.Error()})
		}
	}
}
