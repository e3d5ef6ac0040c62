package main

import (
	"os"
	"strconv"

	inmemoryserver "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/server"
)

// labPorts reads the ports of the in-memory clusters from the environment: two labs must not share them.
func labPorts() inmemoryserver.CustomPorts {
	return inmemoryserver.CustomPorts{
		MinPort:   labPort("LAB_DEV_PORT_FIRST", inmemoryserver.DefaultMinPort),
		MaxPort:   labPort("LAB_DEV_PORT_LAST", inmemoryserver.DefaultMaxPort),
		DebugPort: labPort("LAB_DEV_PORT_DEBUG", inmemoryserver.DefaultDebugPort),
	}
}

func labPort(name string, otherwise int32) int32 {
	port, err := strconv.ParseInt(os.Getenv(name), 10, 32)
	if err != nil {
		return otherwise
	}
	return int32(port)
}
